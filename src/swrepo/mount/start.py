"""Mounting: `mount` returns when the mount answers (in the foreground: when it has ended); `umount` takes it away."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from swrepo.errors import Busy, SwrepoError
from swrepo.fuse import mount as mounting
from swrepo.mount import guard, worker
from swrepo.mount.guard import Report
from swrepo.mount.handover import Handover
from swrepo.mount.logs import write_logs
from swrepo.mount.request import MountRequest

__all__ = ["MountRequest", "mount", "umount"]


def mount(request: MountRequest) -> int:
    """Mount as `request` says; an exit code. Raises why it cannot be done. Forks, so only where there is one thread."""
    if not request.is_given_connection:
        _clear_the_way(request.mountpoint)

    def work(report: Report, guard_alive: int, handover: Handover) -> int:
        return worker.serve(request, report, guard_alive, handover, in_foreground=request.foreground)

    def clean_up() -> None:
        if not request.is_given_connection:
            _remove_dead(request.mountpoint)

    if request.foreground:
        return guard.run_in_foreground(work, clean_up)
    guard.run_in_background(work, clean_up, lambda: _leave_terminal(request))
    return 0


def umount(mountpoint: str, *, lazy: bool = False) -> None:
    """Take a mount away and wait until it is gone; PermissionRefused, MountFailed (busy, or nothing is mounted)."""
    mounting.umount(mountpoint, lazy=lazy)


def _clear_the_way(mountpoint: str) -> None:
    """A mount whose worker was killed together with its guard is removed; a living one is in the way."""
    _remove_dead(mountpoint)
    kind = mounting.mounted_at(os.path.realpath(mountpoint))
    if kind == "fuse.swrepo":
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
    options = request.logs if request.log is None else replace(request.logs, file=request.log)
    write_logs(options, _default_log(request))


def _default_log(request: MountRequest) -> Path:
    socket = request.control_socket(None)
    return socket.with_name("swrepo.log") if socket is not None else Path(os.devnull)
