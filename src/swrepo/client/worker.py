"""The process that serves a mount: opens what is mounted, mounts, answers, and unmounts at the end.

Threads: the main one waits for signals and the end; `loop` answers the kernel; up to 32 fetch; `refresh` and `control`
do what their names say.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.client.adapter import WORKERS, Adapter
from swrepo.client.control import Command, ControlSocket
from swrepo.client.guard import Report
from swrepo.client.handover import Connection, Handover
from swrepo.client.journal import VolumeRecord
from swrepo.client.refresh import Refresher, Timer, tell_kernel
from swrepo.client.repositories import Repositories
from swrepo.client.request import MountRequest
from swrepo.client.vfs import ROOT_NODE, Vfs
from swrepo.errors import MountFailed, SwrepoError
from swrepo.fuse import mount as mounting
from swrepo.fuse.inflight import InFlight
from swrepo.fuse.mount import MountOptions
from swrepo.repository.revision import Revision

log = logging.getLogger(__name__)

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FAILED = 70
"""Exit code where this program itself is to blame, as in sysexits.h."""

_LAST_ANSWERS = 2.0
"""Seconds that the loop has for going on with who still uses a mount that was detached."""


class Mounted:
    """Everything of one live mount. `accesses` are those in use, by the name that they have in the tree."""

    def __init__(self, request: MountRequest, handover: Handover) -> None:
        """Open the repository, or make ready to open many; then mount, or go on with the mount that was left to us."""
        self.request = request
        self.vfs = Vfs(started=int(request.clock().timestamp()), counts=handover.counts, journal=handover.journal)
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="fetch")
        self.repositories: Repositories | None = None
        self._access: Access | None = None
        if request.repository is None:
            if request.resolve is None:
                raise MountFailed("nothing to mount: neither a repository nor a way to find repositories was given")
            self.repositories = Repositories(request.resolve)
            self.vfs.mount_many(self.repositories)
        try:
            self.device = self._mount() if handover.connection is None else self._resume(handover.connection)
        except BaseException:
            self.close()
            raise
        knows_root = mounting.is_initial_namespace()
        self.adapter = Adapter(
            self.device,
            self.vfs,
            self.pool,
            request.validity,
            knows_root=knows_root,
            deadline=request.deadline,
            owners=request.owners,
            inflight=InFlight(handover.requests),
        )
        self.session = self.adapter.session
        if handover.connection is not None:
            self.session.go_on(handover.connection.agreement)
        self.failed = False
        self._refreshers: dict[str, Refresher] = {}
        # The kernel keeps the listing of the synthetic root too.
        self.vfs.on_new_volume = lambda: self.session.forget_inode(ROOT_NODE)

    @property
    def accesses(self) -> dict[str, Access]:
        if self._access is not None:
            return {"": self._access}
        return dict(self.repositories.accesses) if self.repositories is not None else {}

    def refreshers(self) -> list[Refresher]:
        """One for each repository in use."""
        for name, access in self.accesses.items():
            if name not in self._refreshers and name in self.vfs.volumes:
                self._refreshers[name] = Refresher(self.vfs, name, access, self.session)
        return list(self._refreshers.values())

    def close(self) -> None:
        """Let go of caches and connections, in order: what was fetched is on the disk afterwards."""
        for access in self.accesses.values():
            access.cache.settle()
        if self._access is not None:
            self._access.close()
        if self.repositories is not None:
            self.repositories.close()

    @property
    def fqrn(self) -> str | None:
        """The repository that is the whole mount."""
        return self._access.fqrn if self._access is not None else None

    def _mount(self) -> int:
        request = self.request
        if request.repository is not None:
            self._access = Access(request.repository)
            self.vfs.mount_root(self._access.revision, self._access.variables)
        options = MountOptions(self.fqrn or "cvmfs", request.allow_other, request.suid, request.dev)
        return mounting.mount(request.mountpoint, options)

    def _resume(self, connection: Connection) -> int:
        self.vfs.resume(lambda record: self._open_again(record, connection.fqrn))
        return connection.device

    def _open_again(self, record: VolumeRecord, fqrn: str | None) -> tuple[Revision, Mapping[str, str]]:
        """Open the revision that the worker before this one showed."""
        if self.repositories is not None:
            return self.repositories.open(record.name, record.root)
        assert self.request.repository is not None  # noqa: S101 - it is one or the other
        self._access = Access(replace(self.request.repository, fqrn=fqrn), record.root)
        return self._access.revision, self._access.variables


def serve(request: MountRequest, report: Report, guard: int, handover: Handover, *, in_foreground: bool) -> int:
    """Serve until the mount is gone or a signal ends it; the exit code. `guard` ends when the guard process dies.

    An exit code other than 0 leaves the mount to the next worker.
    """
    wake, ended = _signal_pipe(), os.pipe()
    mounted = Mounted(request, handover)
    loop = threading.Thread(target=_run_loop, args=(mounted, ended[1]), name="loop", daemon=True)
    loop.start()
    timer = Timer(mounted.refreshers, request.max_ttl)
    control: ControlSocket | None = None
    try:
        if handover.connection is None:
            _wait_until_it_answers(mounted)
        control = _control(mounted)
        timer.start()
        assert mounted.session.agreement is not None  # noqa: S101 - it answers
        handover.give(Connection(mounted.device, mounted.session.agreement, mounted.fqrn))
        if handover.connection is None:
            report.ready()
        else:
            tell_kernel(mounted.vfs, mounted.session, mounted.vfs.unsaid)
            timer.now()
        _wait_for_the_end(wake, ended[0], guard if in_foreground else -1, mounted, timer)
    except SwrepoError:
        _unmount(mounted, loop)
        raise
    if mounted.failed:
        return _FAILED
    timer.stop()
    _unmount(mounted, loop)
    if control is not None:
        control.close()
    mounted.close()
    return 0


def _run_loop(mounted: Mounted, ended: int) -> None:
    try:
        mounted.session.run()
    except BaseException:
        mounted.failed = True
        log.exception("the loop ended")
    finally:
        os.close(ended)


def _wait_until_it_answers(mounted: Mounted) -> None:
    if not mounted.session.ready.wait(30):
        raise MountFailed(f"the kernel did not begin to talk about {mounted.request.mountpoint}")
    if not mounted.request.is_given_connection:
        try:
            mounting.read_ahead(mounted.request.mountpoint)
        except OSError as error:
            raise MountFailed(f"{mounted.request.mountpoint} does not answer: {error.strerror}") from error


def _signal_pipe() -> int:
    """A descriptor that has a byte, the number, for each signal that came."""
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    for number in (*_END_SIGNALS, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return receiver


def _wait_for_the_end(wake: int, ended: int, guard: int, mounted: Mounted, timer: Timer) -> None:
    watched = [descriptor for descriptor in (wake, ended, guard) if descriptor >= 0]
    while True:
        ready, _, _ = select.select(watched, [], [], mounted.adapter.deadlines.period)
        # The kernel reports only the first signal of a program that waits; a later one may be the one that kills it.
        mounted.session.release_killed()
        mounted.adapter.deadlines.check(time.monotonic())
        if wake not in ready and ended not in ready and guard not in ready:
            continue
        if ended in ready or guard in ready:
            return
        numbers = os.read(wake, 64)
        if any(number in numbers for number in _END_SIGNALS):
            return
        if signal.SIGHUP in numbers:
            timer.now()


def _unmount(mounted: Mounted, loop: threading.Thread) -> None:
    """Take the mount away, now or, where it is in use, from sight; its users get errors once we are gone."""
    request = mounted.request
    if loop.is_alive() and not request.is_given_connection:
        with suppress(SwrepoError):
            mounting.umount(request.mountpoint, lazy=True)
    loop.join(_LAST_ANSWERS)
    mounted.pool.shutdown(wait=False, cancel_futures=True)


def _control(mounted: Mounted) -> ControlSocket | None:
    path = mounted.request.control_socket(next((a.fqrn for a in mounted.accesses.values()), None))
    if path is None:
        return None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ControlSocket(path, _commands(mounted))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP):
            raise
        log.warning("no control socket at %s: %s", path, error.strerror)
        return None


def _commands(mounted: Mounted) -> dict[str, Command]:
    def on_each(question: Callable[[Refresher], str]) -> Command:
        def answer(_rest: str) -> str:
            found = mounted.refreshers()
            if len(found) == 1:
                return question(found[0])
            return "\n".join(f"{refresher.access.fqrn}: {question(refresher)}" for refresher in found)

        return answer

    return {
        "counters": lambda _rest: _counters(mounted),
        "remount": on_each(lambda refresher: refresher.refresh()),
        "remount sync": on_each(lambda refresher: refresher.refresh()),
        "revision": on_each(lambda refresher: str(refresher.access.revision.number)),
        "pid": lambda _rest: str(os.getpid()),
        "mountpoint": lambda _rest: mounted.request.mountpoint,
        "version": lambda _rest: __version__,
    }


def _counters(mounted: Mounted) -> str:
    """A line `name value` for each counter."""
    lines = [f"requests {name} {count}" for name, count in sorted(mounted.session.requests().items())]
    ahead = mounted.adapter.ahead.counters
    lines += [f"ahead fetched {ahead.fetched}", f"ahead used {ahead.used}"]
    seen: set[Path] = set()
    for access in mounted.accesses.values():
        prefix = f"cache {access.cache.root}"
        quota = access.cache.quota
        if access.cache.root not in seen and quota is not None:
            limits = quota.counters
            lines += [f"{prefix} {name} {getattr(limits, name)}" for name in limits.__dataclass_fields__]
        seen.add(access.cache.root)
        counters = access.cache.counters
        lines += [f"{prefix} {name} {getattr(counters, name)}" for name in counters.__dataclass_fields__]
    return "\n".join(lines)
