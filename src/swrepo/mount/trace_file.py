"""CVMFS_TRACEFILE: a line of CSV for each request about a path, as the original writes it, by a thread of its own.

A line is `"milliseconds.microseconds","kind","path","name()"`, ends in CR LF, and quotes in it are doubled. Lines wait
in memory until there are more of them than a threshold, somebody flushes, or the mount ends: what a killed process had
is lost. What the kernel answers by itself is not seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.fuse.request import Handler, Later, Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode
from swrepo.mount.watching import TraceOptions
from swrepo.vfs.tree import ROOT_NODE, Vfs

log = logging.getLogger(__name__)

BEGIN, END, FLUSH = -1, -2, -3
_KINDS = {
    Opcode.OPEN: (1, b"open()"),
    Opcode.OPENDIR: (2, b"opendir()"),
    Opcode.READLINK: (3, b"readlink()"),
    Opcode.LOOKUP: (4, b"lookup()"),
    Opcode.STATFS: (5, b"statfs()"),
    Opcode.GETATTR: (6, b"getattr()"),
    Opcode.LISTXATTR: (7, b"listxattr()"),
    Opcode.GETXATTR: (8, b"getxattr()"),
}
_TRACER = b"Tracer"
_UNKNOWN = b"@UNKNOWN"
_PATIENCE = 1.0
"""Seconds that a request waits for room; then its line is lost, and counted."""


class _Line(NamedTuple):
    moment: int
    kind: int
    path: bytes
    message: bytes


class TraceFile:
    """One for a mount, begun when it is made; OSError where the file cannot be written.

    `clock`: nanoseconds since 1970. The loop's thread notes, any may flush.
    """

    def __init__(self, options: TraceOptions, clock: Callable[[], int] = time.time_ns) -> None:
        self._options = options
        self._clock = clock
        self._file = Path(options.file).open("ab")  # noqa: SIM115 - closed by its thread
        self._changed = threading.Condition()
        self._kept: list[_Line] = []
        self._is_wanted = False
        self._is_over = False
        self._lost = 0
        self._noted = self._written = 0
        self.note(BEGIN, _TRACER, b"Trace buffer created")
        self._thread = threading.Thread(target=self._write, name="trace", daemon=True)
        self._thread.start()

    def attach(self, vfs: Vfs, session: Session) -> None:
        """Note each request of the kernel from now on."""
        for opcode, (kind, message) in _KINDS.items():
            session.exchange(opcode, partial(self._noting, vfs, kind, message))

    def note(self, kind: int, path: bytes, message: bytes) -> int:
        """Keep a line; how many there were before it. Waits a little where the file is slower than the requests."""
        moment = self._clock()
        with self._changed:
            full = self._options.size
            if len(self._kept) >= full and not self._is_over:
                self._changed.wait_for(lambda: len(self._kept) < full, _PATIENCE)
            if len(self._kept) >= full:
                self._lost += 1
                return self._noted
            self._kept.append(_Line(moment, kind, path, message))
            self._noted += 1
            if len(self._kept) > self._options.threshold:
                self._changed.notify_all()
            return self._noted

    def flush(self) -> None:
        """Have all of it written, and wait until it is."""
        until = self.note(FLUSH, _TRACER, b"flushed ring buffer")
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._written >= until or self._is_over)

    def close(self) -> None:
        """Write what is left, and the last line."""
        self.note(END, _TRACER, b"Destroying trace buffer...")
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        self._thread.join()

    def _noting(self, vfs: Vfs, kind: int, message: bytes, usual: Handler) -> Handler:
        def handle(request: Request) -> bytes | Later:
            self.note(kind, _path(vfs, request), message)
            return usual(request)

        return handle

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due)
                lines, self._kept = self._kept, []
                lost, self._lost = self._lost, 0
                self._is_wanted, ends = False, self._is_over
                self._changed.notify_all()
            self._append(lines, lost)
            with self._changed:
                self._written += len(lines)
                self._changed.notify_all()
            if ends:
                self._file.close()
                return

    def _is_due(self) -> bool:
        return self._is_over or self._is_wanted or len(self._kept) > self._options.threshold

    def _append(self, lines: list[_Line], lost: int) -> None:
        try:
            self._file.write(b"".join(map(_csv, lines)))
            self._file.flush()
        except OSError as error:
            lost += len(lines)
            log.warning("cannot write the trace %s: %s", self._options.file, error.strerror)
        if lost:
            log.warning("%d requests are missing in the trace %s", lost, self._options.file)


def _path(vfs: Vfs, request: Request) -> bytes:
    """As the original writes it: nothing for the top."""
    try:
        with vfs.lock:
            path = b"" if request.node == ROOT_NODE else vfs.path(request.node)
    except SwrepoError:
        return _UNKNOWN
    if request.opcode == Opcode.LOOKUP:
        return path.rstrip(b"/") + b"/" + request.body[: request.body.index(0)]
    return path


def _csv(line: _Line) -> bytes:
    milliseconds, rest = divmod(line.moment, 1_000_000)
    fields = (b"%d.%03d" % (milliseconds, rest // 1000), b"%d" % line.kind, line.path, line.message)
    return b",".join(b'"' + field.replace(b'"', b'""') + b'"' for field in fields) + b"\r\n"
