"""Mounting: `mount` returns when the mount answers (in the foreground: when it has ended); `umount` takes it away."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from swrepo import __version__
from swrepo.errors import Busy, SwrepoError
from swrepo.fuse import mount as mounting
from swrepo.mount import guard, renewal, worker
from swrepo.mount.guard import Report, end_with
from swrepo.mount.handover import Handover
from swrepo.mount.logs import write_logs
from swrepo.mount.request import MountRequest

log = logging.getLogger(__name__)

_OURS = "fuse.swrepo"

__all__ = ["MountRequest", "mount", "take_over", "umount"]


def mount(request: MountRequest) -> int:
    """Mount as `request` says; an exit code. Raises why it cannot be done. Forks, so only where there is one thread."""
    place = None if request.is_given_connection else os.path.realpath(request.mountpoint)
    if place is not None:
        _clear_the_way(request.mountpoint)

    def work(report: Report, guard_alive: int, handover: Handover) -> int:
        return worker.serve(request, report, guard_alive, handover, in_foreground=request.foreground)

    def clean_up() -> None:
        # By now an automounter may lie in wait there: a path that is no mount of ours is not touched.
        if place is not None and mounting.mounted_at(place) == _OURS:
            _remove_dead(place)

    def successor(handover: Handover, guard_alive: int) -> NoReturn:
        renewal.become(request.again, handover, guard_alive)

    if request.foreground:
        return guard.run_in_foreground(work, clean_up, successor)
    guard.run_in_background(work, clean_up, lambda: _leave_terminal(request), successor)
    return 0


def take_over(request: MountRequest, left: str) -> int:
    """Go on with a mount that another program left (mount.renewal), or say whether that could be; an exit code.

    Raises why it cannot be done. Where it is done, the process ends here.
    """
    repositories = renewal.wanted_trial(left)
    if repositories is None:
        _go_on(request, left)
    renewal.check(request, repositories)
    return 0


def _go_on(request: MountRequest, left: str) -> NoReturn:
    handover, guard_alive = Handover.inherit(left)
    if not request.foreground:
        _open_log(request)

    def work() -> int:
        log.info("swrepo %s goes on with the mount as process %d", __version__, os.getpid())
        try:
            return worker.serve(request, Report(-1), guard_alive, handover, in_foreground=request.foreground)
        except SwrepoError as error:
            log.error("the new program cannot go on with the mount: %s", error)  # noqa: TRY400 - the sentence says it
            return error.exit_code

    end_with(work)


def umount(mountpoint: str, *, lazy: bool = False) -> None:
    """Take a mount away and wait until it is gone; PermissionRefused, MountFailed (busy, or nothing is mounted)."""
    mounting.umount(mountpoint, lazy=lazy)


def _clear_the_way(mountpoint: str) -> None:
    """A mount whose worker was killed together with its guard is removed; a living one is in the way."""
    _remove_dead(mountpoint)
    kind = mounting.mounted_at(os.path.realpath(mountpoint))
    if kind == _OURS:
        raise Busy(f"{mountpoint} is mounted already; unmount it first (swrepo umount {mountpoint})")


def _remove_dead(mountpoint: str) -> None:
    if mounting.is_dead(mountpoint):
        with suppress(SwrepoError):
            mounting.umount(mountpoint, lazy=True)


def _leave_terminal(request: MountRequest) -> None:
    """Nothing of the caller's terminal or pipes stays open; what there is to say goes to the log."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
    _open_log(request)


def _open_log(request: MountRequest) -> None:
    options = request.logs if request.log is None else replace(request.logs, file=request.log)
    write_logs(options, _default_log(request))


def _default_log(request: MountRequest) -> Path:
    socket = request.control_socket(None)
    return socket.with_name("swrepo.log") if socket is not None else Path(os.devnull)
