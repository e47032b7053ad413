"""Whether a signal that interrupted a waiting program is meant to stop it.

The kernel reports any signal, and programs that expect none (Go's runtime sends itself SIGURG all the time) would see
their calls fail with EINTR. So we let go only of those who are being killed or asked to end.
"""

from __future__ import annotations

import signal

from swrepo.fuse.request import Request

_ASKED_TO_END = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_IGNORED_BY_DEFAULT = frozenset({signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT})


def is_meant_to_stop(request: Request) -> bool:
    """Whether the caller of `request` has a signal pending that is to end it; True where we cannot see it."""
    try:
        with open(f"/proc/{request.pid}/status", "rb") as file:
            status = file.read()
    except OSError:
        return True  # gone, or in a process namespace that we cannot see
    return ends(status)


def ends(status: bytes) -> bool:
    """The same from the text of /proc/PID/status."""
    masks = {
        key: int(value, 16)
        for key, _, value in (line.partition(b":\t") for line in status.splitlines())
        if key in (b"SigPnd", b"ShdPnd", b"SigBlk", b"SigIgn", b"SigCgt")
    }
    pending = (masks.get(b"SigPnd", 0) | masks.get(b"ShdPnd", 0)) & ~masks.get(b"SigBlk", 0) & ~masks.get(b"SigIgn", 0)
    caught = masks.get(b"SigCgt", 0)
    for number in range(1, 65):
        bit = 1 << number - 1
        if not pending & bit:
            continue
        if number in _ASKED_TO_END or (not caught & bit and number not in _IGNORED_BY_DEFAULT):
            return True
    return False
