"""Mounting: `mount` returns when the mount answers (in the foreground: when it has ended); `umount` takes it away."""

from __future__ import annotations

import logging
import logging.handlers
import os
from contextlib import suppress
from pathlib import Path

from swrepo.client import guard, worker
from swrepo.client.guard import Report
from swrepo.client.handover import Handover
from swrepo.client.request import MountRequest
from swrepo.errors import Busy, MountFailed, SwrepoError
from swrepo.fuse import mount as mounting

__all__ = ["MountRequest", "mount", "umount"]

_SYSLOG = "/dev/log"
_FORMAT = "%(name)s[%(process)d]: %(levelname)s: %(message)s"


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
    handler = _log_handler(request)
    handler.setFormatter(logging.Formatter(("" if _is_syslog(handler) else "%(asctime)s ") + _FORMAT))
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(logging.INFO)


def _log_handler(request: MountRequest) -> logging.Handler:
    path = request.log
    if path is None and os.path.exists(_SYSLOG):
        with suppress(OSError):
            return logging.handlers.SysLogHandler(_SYSLOG)
    if path is None:
        path = _default_log(request)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise MountFailed(f"cannot write the log {path}: {error.strerror}") from error


def _default_log(request: MountRequest) -> Path:
    socket = request.control_socket(None)
    return socket.with_name("swrepo.log") if socket is not None else Path(os.devnull)


def _is_syslog(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.handlers.SysLogHandler)
