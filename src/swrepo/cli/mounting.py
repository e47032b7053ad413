"""From a command line to a mount request."""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from swrepo.cli.configured import cache_base, full_name, general
from swrepo.cli.opening import access_request
from swrepo.cli.options import MountOptions
from swrepo.cli.places import Places, current
from swrepo.cli.selection import SHARED_CACHE, from_here, overrides, select
from swrepo.client.request import AccessRequest
from swrepo.client.target import Target, parse
from swrepo.config.parameters import ClientParameters, LogParameters
from swrepo.config.watching import WatchingParameters
from swrepo.errors import ConfigError, MountFailed, PathNotFound, UsageError
from swrepo.format.paths import normalise
from swrepo.format.wellknown import is_fqrn
from swrepo.mount import start
from swrepo.mount.control import ask
from swrepo.mount.deadlines import DEADLINE
from swrepo.mount.learned import LearnedOptions
from swrepo.mount.logs import LogOptions
from swrepo.mount.records import recorded_sockets
from swrepo.mount.renewal import VARIABLE as TAKES_OVER
from swrepo.mount.request import HOURS_24, IDLE, MountRequest, Program
from swrepo.mount.watching import Telemetry, TraceOptions, Visibility, WatchOptions
from swrepo.system.loading import loaded
from swrepo.system.service_manager import ADDRESS_VARIABLE
from swrepo.system.user import is_root
from swrepo.vfs.owners import owners_of

SOCKET_PREFIX = "cvmfs_io."
_ASKING = 5.0
_GIVEN_CONNECTION = "/dev/fd/"


def mount_one(args: argparse.Namespace, options: MountOptions) -> int:
    """Mount the repository `args.target` on `args.directory`."""
    target = repository_target(args.target)
    selection = select(target, args, options.parameters)
    repository = access_request(selection)
    return _mount(args, options, selection.parameters, repository=repository, target=target)


def repository_target(text: str) -> Target:
    """A whole repository. UsageError where a directory of one is meant."""
    # A short name, which the default domain completes, looks like a directory.
    target = Target(None, text, b"") if is_fqrn(text) and not Path(text).exists() else parse(text)
    if target.path:
        raise UsageError(f"{text}: a whole repository is mounted, not a directory of one")
    return target


def mount_all(args: argparse.Namespace, options: MountOptions, places: Places) -> int:
    """Mount every configured repository below one directory; each appears when it is first touched."""
    resolve = resolver(args, options.parameters, places)
    listed = lister(places) if options.list_all else tuple
    parameters = general(places, overrides(options.parameters, None))
    return _mount(args, options, parameters, resolve=resolve, listed=listed, control=control_directory(places))


def lister(places: Places) -> Callable[[], tuple[str, ...]]:
    """The repositories that are configured at the moment; none while the configuration is in disorder."""

    def listed() -> tuple[str, ...]:
        try:
            return tuple(full_name(name, places) for name in general(places).repositories)
        except ConfigError as error:
            logging.getLogger("swrepo").info("no repositories are listed: %s", error)
            return ()

    return listed


def control_directory(places: Places) -> Path:
    """Where the control socket of the mount of all repositories is."""
    return cache_base(places) / SHARED_CACHE


def resolver(args: argparse.Namespace, parameters: Sequence[str], places: Places) -> Callable[[str], AccessRequest]:
    """How a name below the mount becomes a repository, by the configuration of that moment."""

    def resolve(name: str) -> AccessRequest:
        if "." not in name:
            here = general(places)
            if name not in here.repositories and not here.default_domain:
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
    parameters: ClientParameters,
    *,
    target: Target | None = None,
    repository: AccessRequest | None = None,
    resolve: Callable[[str], AccessRequest] | None = None,
    listed: Callable[[], Sequence[str]] = tuple,
    control: Path | None = None,
) -> int:
    if args.foreground:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(levelname)s: %(message)s")
    given = args.directory.startswith(_GIVEN_CONNECTION)
    directory = args.directory if given else str(Path(args.directory).absolute())
    left = os.environ.pop(TAKES_OVER, None)
    request = mount_request(directory, options, parameters)
    request = replace(
        request,
        repository=repository,
        resolve=resolve,
        listed=listed,
        foreground=args.foreground,
        service_manager=os.environ.get(ADDRESS_VARIABLE) if args.foreground else None,
        control=Path(parameters.workspace) if parameters.workspace else control,
        watching=replace(request.watching, records=current().records),
        socket=Path(parameters.talk_socket) if parameters.talk_socket else None,
        socket_owner=_socket_owner(parameters.talk_owner),
        again=_again(args, target, directory),
    )
    loaded()
    return start.mount(request) if left is None else start.take_over(request, left)


def _socket_owner(name: str | None) -> tuple[int, int] | None:
    if name is None:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"CVMFS_TALK_OWNER={name}: there is no such user") from None
    return found.pw_uid, found.pw_gid


def _again(args: argparse.Namespace, target: Target | None, directory: str) -> Program:
    """The command line that mounts `target` (None: all repositories) once more, from whatever current directory."""
    words = [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "swrepo.cli.main", "mount"]
    words += [f"--key={key}" for key in args.key]
    words += [f"--cache={args.cache}"] if args.cache else []
    words += [f"--proxy={args.proxy}"] if args.proxy is not None else []
    words += [f"-o{option}" for option in args.options]
    words += ["--foreground"] if args.foreground else []
    if target is None:
        return Program((*words, "--all", *(["--list"] if args.list else []), "--", directory), dict(os.environ))
    is_place = target.url is not None and "://" not in args.target
    return Program((*words, "--", from_here(args.target) if is_place else args.target, directory), dict(os.environ))


def mount_request(mountpoint: str, options: MountOptions, parameters: ClientParameters) -> MountRequest:
    """How a mount is to be, without what it shows."""
    return MountRequest(
        mountpoint=mountpoint,
        # What root mounts is for everybody, as with the original; the modes of files decide.
        allow_other=options.allow_other or is_root(),
        suid=options.suid or parameters.suid,
        passthrough=options.passthrough,
        prefetch=parameters.prefetch,
        guesses=parameters.guesses,
        fill=tuple(normalise(path) for path in parameters.fill),
        dev=options.dev,
        validity=HOURS_24 if parameters.validity is None else parameters.validity,
        max_ttl=parameters.max_ttl,
        deadline=options.deadline or DEADLINE,
        idle=IDLE if options.idle is None else options.idle,
        learned=LearnedOptions(
            profiles=parameters.profiles,
            directory=Path(parameters.profiles_directory) if parameters.profiles_directory else None,
            bundles=parameters.bundles,
        ),
        logs=_logs(parameters.log),
        watching=_watching(parameters.watching),
        owners=owners_of(parameters.ownership),
    )


def _logs(parameters: LogParameters) -> LogOptions:
    return LogOptions(
        file=Path(parameters.file) if parameters.file else None,
        debug_file=Path(parameters.debug_file) if parameters.debug_file else None,
        notices=parameters.level,
        facility=parameters.facility,
        prefix=parameters.prefix,
        json=parameters.json,
    )


def _watching(parameters: WatchingParameters) -> WatchOptions:
    visibility = Visibility(parameters.listings, parameters.protected, parameters.privileged)
    sent = parameters.telemetry
    telemetry = Telemetry(sent.host, sent.port, sent.name, sent.rate, sent.tags, sent.fields) if sent else None
    kept = parameters.trace
    trace = TraceOptions(kept.file, kept.size, kept.threshold) if kept else None
    return WatchOptions(visibility, parameters.metrics, telemetry=telemetry, trace=trace)


def find_socket(text: str, cache: str | None, places: Places) -> Path:
    """The control socket of the mount on the directory `text`, or of the repository of that name."""
    wanted = str(Path(text).absolute())
    asked: list[Path] = []
    for path in sockets(cache, places):
        asked.append(path)
        if is_fqrn(text) and path.name == SOCKET_PREFIX + text:
            return path
        try:
            if ask(path, "mountpoint", timeout=_ASKING) == wanted:
                return path
        except MountFailed:
            continue
    raise MountFailed(f"no mount of {text} answers; {len(asked)} sockets were asked")


def sockets(cache: str | None, places: Places) -> list[Path]:
    """Control sockets in the cache that is given; else in all of them, and those that mounts left records of."""
    base = control_directory(places).parent
    directories = [Path(cache)] if cache else [base, *(path for path in sorted(base.glob("*")) if path.is_dir())]
    found = [path for directory in directories for path in sorted(directory.glob(SOCKET_PREFIX + "*"))]
    return list(dict.fromkeys(found if cache else [*found, *recorded_sockets(places.records)]))
