"""From what was typed and configured to what is needed to open one repository: servers, keys, cache, options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swrepo.cli.output import note
from swrepo.cli.places import Places, current
from swrepo.cli.target import Target
from swrepo.config.files import Setting, load
from swrepo.config.parameters import ClientParameters, complete_name, interpret, warnings
from swrepo.errors import ConfigError, UsageError

BLACKLIST = "blacklist"
SHARED_CACHE = "shared"


@dataclass(frozen=True, slots=True)
class Selection:
    """One repository, ready to be opened. `fqrn` is None where the directory that holds it has another name."""

    fqrn: str | None
    urls: tuple[str, ...]
    keys: tuple[Path, ...]
    cache: Path
    blacklists: tuple[Path, ...]
    parameters: ClientParameters

    @property
    def variables(self) -> Mapping[str, str]:
        """What variant symlinks see of the configuration."""
        return self.parameters.variables or {}


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
    here = places or current()
    given = overrides(options, args.proxy)
    target = _with_default_domain(target, here, given)
    settings = load(here.configurations, target.fqrn, given)
    parameters = interpret(settings)
    for sentence in warnings(settings):
        note(f"swrepo: {sentence}")
    if target.url is None:
        _permit(target, parameters)
    return Selection(
        fqrn=target.fqrn,
        urls=(target.url,) if target.url else parameters.server_urls,
        keys=tuple(Path(key) for key in args.key) or trusted_keys(target.name, parameters, here),
        cache=Path(args.cache) if args.cache else _cache(target, parameters, here),
        blacklists=tuple(
            path for path in (directory / BLACKLIST for directory in here.configurations) if path.exists()
        ),
        parameters=parameters,
    )


def trusted_keys(name: str, parameters: ClientParameters, places: Places) -> tuple[Path, ...]:
    """The master keys that the configuration trusts. ConfigError where there is none."""
    if parameters.keys_dir:
        directories: tuple[Path, ...] = (Path(parameters.keys_dir),)
    elif parameters.public_keys:
        return tuple(Path(key) for key in parameters.public_keys)
    else:
        directories = places.keys
    keys = tuple(key for directory in directories for key in sorted(directory.glob("*.pub")))
    if not keys:
        where = " or ".join(map(str, directories))
        raise ConfigError(f"no master key to trust for {name}: there is no *.pub in {where}; give one with --key FILE")
    return keys


def _with_default_domain(target: Target, places: Places, given: Mapping[str, Setting]) -> Target:
    if target.url is not None or target.fqrn is None or "." in target.fqrn:
        return target
    domain = interpret(load(places.configurations, None, given)).default_domain
    return replace(target, fqrn=complete_name(target.fqrn, domain))


def _permit(target: Target, parameters: ClientParameters) -> None:
    if parameters.strict_mount and target.fqrn not in parameters.repositories:
        raise ConfigError(f"{target.name} is not in CVMFS_REPOSITORIES, and CVMFS_STRICT_MOUNT allows nothing else")
    if not parameters.server_urls:
        raise UsageError(
            f"no server is known for {target.name}: give its URL, run 'PointToCVMFS HOST', or set CVMFS_SERVER_URL"
        )


def _cache(target: Target, parameters: ClientParameters, places: Places) -> Path:
    base = Path(parameters.cache_base) if parameters.cache_base else places.cache_base
    return base / (SHARED_CACHE if parameters.shared_cache or target.fqrn is None else target.fqrn)
