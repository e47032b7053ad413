"""The process that serves a mount, from its start to its end.

Threads: the main one waits for signals and the end; `loop` answers the kernel; up to 32 fetch; `refresh` and `control`
do what their names say.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import threading
import time
from contextlib import suppress

from swrepo.errors import MountFailed, SwrepoError
from swrepo.fuse import mount as mounting
from swrepo.mount.departure import Departure
from swrepo.mount.guard import RENEW, Report
from swrepo.mount.handover import Connection, Handover
from swrepo.mount.mounted import Mounted
from swrepo.mount.refresh import Timer, tell_kernel
from swrepo.mount.request import MountRequest
from swrepo.mount.watch import Watch
from swrepo.system.descriptors import make_room, raise_limit
from swrepo.system.service_manager import tell_ready

log = logging.getLogger(__name__)

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_FAILED = 70
"""Exit code where this program itself is to blame, as in sysexits.h."""

_MAKE_ROOM = 255
"""Among the numbers of signals: a program is started anew and takes over."""

_LAST_ANSWERS = 2.0
"""Seconds that the loop has for going on with who still uses a mount that was detached."""


def serve(request: MountRequest, report: Report, guard: int, handover: Handover, *, in_foreground: bool) -> int:
    """Serve until the mount is gone or a signal ends it; the exit code. `guard` ends when the guard process dies.

    An exit code other than 0 leaves the mount to the next worker.
    """
    raise_limit()
    make_room()
    (wake, wakes), ended = _signal_pipe(), os.pipe()
    mounted = Mounted(request, handover)
    mounted.make_room = lambda: os.write(wakes, bytes([_MAKE_ROOM]))
    gc.freeze()  # the garbage collector would look through all modules again, for six milliseconds
    loop = threading.Thread(target=_run_loop, args=(mounted, ended[1]), name="loop", daemon=True)
    loop.start()
    timer = Timer(mounted.refreshers, request.max_ttl)
    try:
        if handover.connection is None:
            _wait_until_it_answers(mounted)
        handover.note_program(request.clock())
        watch = Watch(mounted, timer, handover.history)
        timer.start()
        assert mounted.session.agreement is not None  # noqa: S101 - it answers
        handover.give(Connection(mounted.device, mounted.session.agreement, mounted.fqrn))
        if handover.connection is None:
            report.ready()
            tell_ready(request.service_manager)
        else:
            tell_kernel(mounted.vfs, mounted.session, mounted.vfs.unsaid)
            if handover.is_another_program:
                mounted.choose_again()
            timer.now()
        makes_room = _wait_for_the_end(wake, ended[0], guard, mounted, timer, watch, ends_with_guard=in_foreground)
    except SwrepoError:
        _unmount(mounted, loop)
        raise
    if mounted.failed:
        return _FAILED
    timer.stop()
    if makes_room:
        log.info("the worker %d makes room for a new program", os.getpid())
        watch.close()
        return RENEW
    _unmount(mounted, loop)
    watch.close()
    mounted.close()
    return 0


def _run_loop(mounted: Mounted, ended: int) -> None:
    try:
        mounted.session.run()
    except BaseException:
        mounted.failed = True
        log.exception("the loop ended")
    finally:
        mounted.adapter.reads.direct.close()
        os.close(ended)
        mounted.session.ready.set()  # who waits for the first answer need not wait any longer


def _wait_until_it_answers(mounted: Mounted) -> None:
    if not mounted.session.ready.wait(30) or mounted.session.agreement is None:
        raise MountFailed(f"the kernel did not begin to talk about {mounted.request.mountpoint}")
    if not mounted.request.is_given_connection:
        try:
            mounting.read_ahead(mounted.request.mountpoint)
        except OSError as error:
            raise MountFailed(f"{mounted.request.mountpoint} does not answer: {error.strerror}") from error


def _signal_pipe() -> tuple[int, int]:
    """A descriptor that has a byte, the number, for each signal that came; and where others are written to."""
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    for number in (*_END_SIGNALS, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return receiver, sender


def _wait_for_the_end(
    wake: int, ended: int, guard: int, mounted: Mounted, timer: Timer, watch: Watch, *, ends_with_guard: bool
) -> bool:
    """Whether the end is that of this process only, which makes room for another program."""
    watched = [wake, ended, guard]
    departure = Departure(None if mounted.request.is_given_connection else mounted.request.mountpoint)
    while True:
        ready, _, changed = select.select(watched, [], departure.tables, mounted.adapter.deadlines.period)
        # The kernel reports only the first signal of a program that waits; a later one may be the one that kills it.
        mounted.session.release_killed()
        mounted.adapter.deadlines.check(time.monotonic())
        mounted.adapter.reads.direct.check(time.monotonic())
        mounted.look_around(time.monotonic())
        if ended in ready:
            return False
        if departure.look(time.monotonic(), changed=bool(changed)):
            watch.leave()
        if guard in ready:
            if ends_with_guard:
                return False
            log.warning("the guard of this mount died; it goes on, but would not outlive process %d", os.getpid())
            watched.remove(guard)
        if wake in ready:
            numbers = os.read(wake, 64)
            if any(number in numbers for number in _END_SIGNALS):
                return False
            if _MAKE_ROOM in numbers and guard in watched:
                return True
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
