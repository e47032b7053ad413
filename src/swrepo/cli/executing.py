"""`swrepo exec`: from its command line to a mount that its command sees."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from swrepo.cli import mounting, options
from swrepo.cli.configured import full_name, general
from swrepo.cli.opening import access_request
from swrepo.cli.output import note
from swrepo.cli.places import Places, current
from swrepo.cli.selection import Selection, select
from swrepo.cli.temporary_cache import TemporaryCache, usable
from swrepo.client.request import AccessRequest
from swrepo.client.target import Target
from swrepo.errors import PathNotFound, UsageError
from swrepo.fuse.mount import MountOptions, mounted_at
from swrepo.mount import sandbox
from swrepo.mount.request import MountRequest

_OURS = "fuse.swrepo"

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit codes of a shell for a command that cannot be run."""


def execute(args: argparse.Namespace) -> int:
    """Become the command; an exit code only where it cannot be run."""
    enter(args)
    return become(args.command)


def enter(
    args: argparse.Namespace,
    adjust: Callable[[MountRequest], MountRequest] = lambda request: request,
    *,
    fake_root: bool = False,
) -> None:
    """See the repositories from now on, by a mount that `adjust` may change, or by what is there already."""
    chosen = options.parse(args.options)
    places = current()
    place = os.path.realpath(args.at)
    targets = [mounting.repository_target(text) for text in args.targets]
    names = [_name(target, places) for target in targets]
    there = mounted_at(place)
    if args.reuse and _has_all(place, names, there):
        return
    if there not in (None, _OURS):
        note(
            f"swrepo exec: the command does not see what is mounted on {place} ({there}); --reuse would leave it there"
        )
    cache = TemporaryCache()

    def prepare() -> MountRequest:
        return adjust(_request(args, targets, names, chosen, places, cache))

    attached = MountOptions("cvmfs", allow_other=True, suid=chosen.suid, dev=chosen.dev)
    sandbox.enter(place, attached, prepare, cache.remove_when_unused, fake_root=fake_root)
    for name in names:
        os.stat(f"{place}/{name}")  # so that a listing shows it


def become(command: Sequence[str], program: str = "swrepo exec") -> int:
    """Be the command from now on. Where it cannot be run: the exit code that a shell has for that, after a sentence."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and the command would inherit that
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - that is what it is for
    except OSError as error:
        if isinstance(error, PermissionError) and "/" not in command[0] and not _is_in_path(command[0]):
            # The system says so, too, where a directory of the PATH is one that one may not look into.
            error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        print(f"{program}: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, (FileNotFoundError, NotADirectoryError)) else NOT_EXECUTABLE


def _is_in_path(command: str) -> bool:
    """Whether one can see a file of that name in the PATH."""
    return any(os.path.exists(os.path.join(place, command)) for place in os.get_exec_path())


def _request(
    args: argparse.Namespace,
    targets: list[Target],
    names: list[str],
    chosen: options.MountOptions,
    places: Places,
    cache: TemporaryCache,
) -> MountRequest:
    def selections() -> dict[str, Selection]:
        found = (select(target, args, chosen.parameters, places) for target in targets)
        return dict(zip(names, found, strict=True))

    named = selections()
    if args.cache is None and not usable(mounting.control_directory(places), *(s.cache for s in named.values())):
        args.cache = str(cache.make())
        named = selections()
    parameters = next(iter(named.values())).parameters if named else general(places)
    resolve = _among(named) if named else mounting.resolver(args, chosen.parameters, places)
    request = mounting.mount_request("", chosen, parameters)
    return replace(request, resolve=resolve, names=tuple(names))


def _among(named: dict[str, Selection]) -> Callable[[str], AccessRequest]:
    def resolve(name: str) -> AccessRequest:
        if name not in named:
            raise PathNotFound(f"{name} is none of the repositories that were asked for")
        return access_request(named[name])

    return resolve


def _name(target: Target, places: Places) -> str:
    """What the repository is called below /cvmfs."""
    if target.fqrn is None:
        raise UsageError(f"{target.url}: the last part is no repository's name, so it has no place below /cvmfs")
    return full_name(target.fqrn, places)


def _has_all(place: str, names: list[str], there: str | None) -> bool:
    """Whether the machine shows what is asked for: all of the names, or, where none is given, any mount."""
    if not names:
        return there is not None
    return all(os.path.isdir(f"{place}/{name}") for name in names)
