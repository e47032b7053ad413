"""From a command line to a mount request."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from swrepo.cli.opening import access_request
from swrepo.cli.options import MountOptions
from swrepo.cli.places import Places
from swrepo.cli.selection import SHARED_CACHE, select
from swrepo.client import mount as client
from swrepo.client.access import AccessRequest
from swrepo.client.control import ask
from swrepo.client.deadlines import DEADLINE
from swrepo.client.request import MountRequest
from swrepo.client.target import Target, parse
from swrepo.config.files import load
from swrepo.config.parameters import interpret
from swrepo.errors import ConfigError, MountFailed, PathNotFound, UsageError
from swrepo.format.wellknown import is_fqrn
from swrepo.system.user import is_root

SOCKET_PREFIX = "cvmfs_io."
_ASKING = 5.0
_GIVEN_CONNECTION = "/dev/fd/"


def mount_one(args: argparse.Namespace, options: MountOptions) -> int:
    """Mount the repository `args.target` on `args.directory`."""
    target = parse(args.target)
    if target.path:
        raise UsageError(f"{args.target}: a whole repository is mounted, not a directory of one")
    selection = select(target, args, options.parameters)
    repository = access_request(selection, options.tag, options.root_hash)
    return _mount(args, options, repository=repository, max_ttl=selection.parameters.max_ttl)


def mount_all(args: argparse.Namespace, options: MountOptions, places: Places) -> int:
    """Mount every configured repository below one directory; each appears when it is first touched."""
    base = control_directory(places)
    max_ttl = interpret(load(places.configurations, None)).max_ttl
    return _mount(args, options, resolve=resolver(args, options.parameters, places), control=base, max_ttl=max_ttl)


def control_directory(places: Places) -> Path:
    """Where the control socket of the mount of all repositories is."""
    base = interpret(load(places.configurations, None)).cache_base
    return (Path(base) if base else places.cache_base) / SHARED_CACHE


def resolver(args: argparse.Namespace, parameters: Sequence[str], places: Places) -> Callable[[str], AccessRequest]:
    """How a name below the mount becomes a repository, by the configuration of that moment."""

    def resolve(name: str) -> AccessRequest:
        if "." not in name:
            general = interpret(load(places.configurations, None))
            if name not in general.repositories and not general.default_domain:
                raise PathNotFound(f"{name} is not the full name of a repository")
        try:
            return access_request(select(Target(None, name, b""), args, parameters, places))
        except (ConfigError, UsageError) as error:
            logging.getLogger("swrepo").info("%s is not mounted: %s", name, error)
            raise PathNotFound(str(error)) from error

    return resolve


def _mount(
    args: argparse.Namespace,
    options: MountOptions,
    *,
    repository: AccessRequest | None = None,
    resolve: Callable[[str], AccessRequest] | None = None,
    control: Path | None = None,
    max_ttl: int | None = None,
) -> int:
    if args.foreground:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(levelname)s: %(message)s")
    given = args.directory.startswith(_GIVEN_CONNECTION)
    return client.mount(
        MountRequest(
            mountpoint=args.directory if given else str(Path(args.directory).absolute()),
            repository=repository,
            resolve=resolve,
            # What root mounts is for everybody, as with the original; the modes of files decide.
            allow_other=options.allow_other or is_root(),
            suid=options.suid,
            dev=options.dev,
            foreground=args.foreground,
            max_ttl=max_ttl,
            deadline=options.deadline or DEADLINE,
            control=control,
        )
    )


def find_socket(text: str, cache: str | None, places: Places) -> Path:
    """The control socket of the mount on the directory `text`, or of the repository of that name."""
    wanted = str(Path(text).absolute())
    asked: list[Path] = []
    for path in _sockets(cache, places):
        asked.append(path)
        if is_fqrn(text) and path.name == SOCKET_PREFIX + text:
            return path
        try:
            if ask(path, "mountpoint", timeout=_ASKING) == wanted:
                return path
        except MountFailed:
            continue
    raise MountFailed(
        f"no mount of {text} answers; {len(asked)} sockets were asked (a mount with --cache needs it here too)"
    )


def _sockets(cache: str | None, places: Places) -> list[Path]:
    base = control_directory(places).parent
    directories = [Path(cache)] if cache else [base, *(path for path in sorted(base.glob("*")) if path.is_dir())]
    return [path for directory in directories for path in sorted(directory.glob(SOCKET_PREFIX + "*"))]
