"""The options that say which repository, key, cache and revision are meant, and what they come to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from swrepo.cli.output import note
from swrepo.cli.places import Places, current
from swrepo.client.selection import BLACKLIST, SHARED_CACHE, Given, Selection, trusted_keys
from swrepo.client.selection import select as select_given
from swrepo.client.target import Target
from swrepo.config.files import Setting

__all__ = [
    "BLACKLIST",
    "SHARED_CACHE",
    "Selection",
    "add_access_options",
    "add_selection_options",
    "from_here",
    "overrides",
    "select",
    "trusted_keys",
]


def from_here(text: str) -> str:
    """A path that stays right when the process that mounts leaves the current directory."""
    return str(Path(text).absolute()) if text else text


def add_access_options(parser: argparse.ArgumentParser) -> None:
    """The options that every program has which reads repositories."""
    group = parser.add_argument_group("repository")
    help_key = "a master public key that is trusted (repeatable)"
    group.add_argument("--key", action="append", default=[], type=from_here, metavar="FILE", help=help_key)
    group.add_argument("--cache", type=from_here, metavar="DIR", help="where verified objects are kept")
    group.add_argument("--proxy", metavar="PROXIES", help="like CVMFS_HTTP_PROXY: 'http://host:3128', 'DIRECT', ...")


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """The same, and which revision is meant."""
    add_access_options(parser)
    group = parser.add_argument_group("revision")
    group.add_argument("--tag", metavar="NAME", help="the revision of this name instead of the newest")
    group.add_argument("--hash", metavar="HASH", help="the revision with this root catalog")


def overrides(options: Sequence[str], proxy: str | None) -> dict[str, Setting]:
    """What `-o NAME=VALUE` (with a parameter's name) and `--proxy` set over every file."""
    found = {}
    for option in options:
        name, given, value = option.partition("=")
        if given and (name.startswith("CVMFS_") or name.isupper()):
            found[name] = Setting(value, f"-o {name}")
    if proxy is not None:
        found["CVMFS_HTTP_PROXY"] = Setting(proxy, "--proxy")
    return found


def select(
    target: Target,
    args: argparse.Namespace,
    options: Sequence[str] = (),
    places: Places | None = None,
) -> Selection:
    """Put together what `target` needs. Raises UsageError or ConfigError where something is missing."""
    given = Given(
        keys=tuple(Path(key) for key in args.key),
        cache=Path(args.cache) if args.cache else None,
        settings=overrides(options, args.proxy),
    )
    here = places or current()
    sources = None
    if target.url is None or not given.keys:  # else nothing that a configuration repository says is needed
        from swrepo.client.opening import sources as sources_of

        sources = sources_of(here)
    selection = select_given(target, given, here, sources)
    for sentence in selection.remarks:
        note(f"swrepo: {sentence}")
    return selection
