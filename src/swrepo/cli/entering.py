"""`cvmfs_server enter`: a command that sees a repository as a directory it can write to, and leaves nothing behind.

this process: waits, and removes the session --fork--> its mounts --fork--> init --fork--> the command
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from swrepo.cli import executing, server_side, transactions
from swrepo.cli.configured import full_name
from swrepo.cli.entered import PLACE, REPOSITORY, SESSION, TRANSACTION
from swrepo.cli.exits import guarded
from swrepo.cli.output import note
from swrepo.cli.places import PREFIX_VARIABLE, current
from swrepo.config.owner_map import OwnerMap
from swrepo.errors import InTransaction, UsageError
from swrepo.mount.ephemeral import Session
from swrepo.mount.request import MountRequest
from swrepo.publish.layout import RepositoryPlaces
from swrepo.system import contained
from swrepo.system.user import is_root
from swrepo.vfs.owners import Owners

_PROGRAM = "cvmfs_server enter"
_LOCK = "in-use"


def enter(args: argparse.Namespace) -> int:
    """Run the command, or a shell; its exit status."""
    server = server_side.layout()
    own = server.repository(args.repository) if args.repository in server.repositories() else None
    name = args.repository if own is not None else full_name(args.repository, current())
    if args.transaction:
        _check_transaction(own, name)
    with _session(name, args) as session:
        session.make_directories()
        if args.transaction:
            (session.directory / TRANSACTION).touch()
        return contained.run(lambda: guarded(lambda: _inside(args, session, name, own), _PROGRAM))


def _check_transaction(own: RepositoryPlaces | None, name: str) -> None:
    if own is None:
        raise UsageError(f"{name} is no repository of this server, so nothing can be published to it; leave out -t")
    if own.in_transaction.exists():
        raise InTransaction(f"a transaction of {name} is open; publish or abort it")
    if transactions.union_of(own).is_used:
        raise UsageError(f"{own.worktree} is a view for transactions: 'cvmfs_server transaction {name}' opens one")
    if own.worktree.is_dir() and os.listdir(own.worktree):
        raise UsageError(
            f"{own.worktree} has files, and the next publication of them would undo what is published from elsewhere; "
            "change them there, or move them away"
        )


def _inside(args: argparse.Namespace, session: Session, name: str, own: RepositoryPlaces | None) -> int:
    """In namespaces of our own from now on."""
    here = os.getcwd()
    fake_root = args.root and not is_root()
    executing.enter(_mounting(args, session, name, own), _as(fake_root=fake_root), fake_root=fake_root)
    place = f"{args.at.rstrip('/')}/{name}"
    if not session.show(name, place):
        note(f"{_PROGRAM}: {session.directory} can hold no changes of a repository; they are in memory")
    if own is not None:
        os.environ[PREFIX_VARIABLE] = str(server_side.layout().prefix)  # also where we are root in there
    os.environ.update({SESSION: str(session.directory), REPOSITORY: name, PLACE: place})
    with suppress(OSError):  # the root directory may be another one now
        os.chdir(here)
    command = args.command or [current().environment.get("SHELL") or "/bin/sh"]

    def become() -> int:
        contained.reset_signals()
        return executing.become(command, _PROGRAM)

    return contained.run_contained(become)


def _mounting(
    args: argparse.Namespace, session: Session, name: str, own: RepositoryPlaces | None
) -> argparse.Namespace:
    """The same as a command line of `swrepo exec`."""
    target, keys = args.stratum0 or name, list(args.key)
    if args.stratum0 is None and own is not None and own.is_local:
        target, keys = f"file://{own.storage}", [*keys, str(own.keys.public)]
    options = ["CVMFS_AUTO_UPDATE=no", *args.options]
    return argparse.Namespace(
        **{**vars(args), "targets": [target], "key": keys, "at": str(session.lower), "reuse": False, "options": options}
    )


def _as(*, fake_root: bool) -> Callable[[MountRequest], MountRequest]:
    """To an ordinary user all files belong, or overlayfs could not copy those of others."""
    uid, gid = (0, 0) if fake_root else (os.geteuid(), os.getegid())

    def adjust(request: MountRequest) -> MountRequest:
        return request if is_root() else replace(request, owners=Owners(OwnerMap(others=uid), OwnerMap(others=gid)))

    return adjust


@contextmanager
def _session(name: str, args: argparse.Namespace) -> Iterator[Session]:
    """A directory for what belongs to this session; removed at the end, unless it is to be kept."""
    above = Path(args.scratch or Path.home() / ".cvmfs") / name
    _remove_forgotten(above)
    directory, lock = _new(above)
    try:
        yield Session(directory)
    finally:
        if args.keep:
            (directory / _LOCK).unlink()
            note(f"{_PROGRAM}: the session is kept in {directory}; what was changed is in scratch/current")
        else:
            _remove(directory)
            with suppress(OSError):  # others may be in there
                above.rmdir()
                above.parent.rmdir()
        os.close(lock)


def _new(above: Path) -> tuple[Path, int]:
    """A directory that is there as long as its lock is held; the next one removes it whatever becomes of us."""
    while True:
        above.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody took it for one whose process was killed just now
            directory = Path(tempfile.mkdtemp(prefix="session", dir=above))
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (directory / _LOCK).exists():
                return directory, lock
            os.close(lock)


def _remove_forgotten(above: Path) -> None:
    """Sessions whose process was killed: those whose lock is free, and those that are empty."""
    for path in above.glob("session*"):
        with suppress(OSError):  # one that is in use, being made, being removed, or kept
            if not (path / _LOCK).exists():
                path.rmdir()
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(lock)


def _remove(directory: Path) -> None:
    """Whatever modes its directories have; the lock goes last, so that the next one can go on from here."""
    for found, names, _ in os.walk(directory):
        for name in names:
            path = os.path.join(found, name)
            if not os.path.islink(path):
                os.chmod(path, stat.S_IRWXU)
    for inside in directory.iterdir():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside)
        elif inside.name != _LOCK:
            inside.unlink()
    (directory / _LOCK).unlink(missing_ok=True)
    directory.rmdir()
