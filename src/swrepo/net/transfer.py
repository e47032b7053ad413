"""One GET under way: the place where the network thread leaves what arrives and one worker picks it up.

Small responses cost one hand-over: the worker is woken when the response is complete, or when `EAGER` bytes wait.
Of a large one, at most `BUFFER` bytes wait here (and as many again are in the worker's hands); then libcurl is paused,
and with it the sender, by TCP.

Threads: `body`, `start_reading` and `finish` are called by the network thread, `cancel` by any, all else by one worker.
`_lock` guards the fields that both sides write; it is never held while anything else is acquired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from swrepo.net.faults import Fault, TransferFailed
from swrepo.system import activity

EAGER = 256 << 10
BUFFER = 2 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """What to get, and how patient to be.

    `timeout` seconds bound connecting (name lookup and TLS included), and the time that the transfer may stay below
    `low_speed` bytes/s. `headers` are complete lines. Without `keep_head` the response has a status but no headers.
    `fresh`: not over a connection that was idle; those are closed, for they may be dead without our having heard.
    `address`: where to connect to in place of what the server's name stands for; `known`: the addresses that it stands
    for, where the system is not to be asked.
    """

    url: str
    proxy: str | None
    headers: tuple[str, ...]
    timeout: float
    low_speed: int
    keep_head: bool
    fresh: bool = False
    address: str | None = None
    known: tuple[str, ...] = ()


class Transfer:
    """State shared by the network thread and the worker that waits."""

    __slots__ = (
        "_blocks",
        "_buffered",
        "_cancelled",
        "_done",
        "_error",
        "_lock",
        "_paused",
        "_ready",
        "_signalled",
        "_tell",
        "ended",
        "lines",
        "request",
        "status",
        "worker",
    )

    def __init__(self, request: Request, tell: Callable[[Transfer], None]) -> None:
        """`tell` asks the network thread to look at this transfer again (resume it, or drop it)."""
        self.request = request
        self.status = 0
        self.lines: list[bytes] = []
        self.ended = 0.0
        """When the last of it came, on the monotonic clock."""
        self._tell = tell
        self.worker = activity.current()
        """Record of who waits for this."""
        self._lock = threading.Lock()
        self._ready = threading.Lock()
        self._ready.acquire()  # released once for each time that a worker has to be woken
        self._signalled = False
        self._blocks: list[bytes] = []
        self._buffered = 0
        self._done = self._paused = self._cancelled = False
        self._error: TransferFailed | None = None

    # -- network thread --

    def body(self, block: bytes) -> bool:
        """Keep a block; False when there is no room: it will come again after `wants_more`."""
        with self._lock:
            if self._buffered and self._buffered + len(block) > BUFFER:
                self._paused = True
                return False
            self._blocks.append(block)
            self._buffered += len(block)
        self.worker.progress(len(block))  # here: the worker itself may not be woken for a minute
        return True

    @property
    def is_eager(self) -> bool:
        """Whether so much waits that the worker should start on it."""
        return self._buffered >= EAGER and not self._signalled

    def start_reading(self) -> None:
        """Wake the worker before the end."""
        with self._lock:
            self._signal()

    def finish(self, error: TransferFailed | None) -> None:
        """Nothing more will come."""
        with self._lock:
            if not self._done:
                self._done, self._error, self.ended = True, error, time.monotonic()
                self._signal()

    def wants_more(self) -> bool:
        """Whether the transfer was paused and may go on; asked once per pause."""
        with self._lock:
            resume = self._paused and not self._buffered
            if resume:
                self._paused = False
            return resume

    @property
    def is_paused(self) -> bool:
        """Whether more came than is kept."""
        return self._paused

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def done(self) -> bool:
        return self._done

    def _signal(self) -> None:
        if not self._signalled:
            self._signalled = True
            self._ready.release()

    # -- worker --

    def wait(self) -> None:
        """Until the first bytes of a long response, or the whole of a short one, are here. Raises TransferFailed."""
        while True:
            with self._lock:
                if self.status or self._done:
                    if self._error is not None and not self._blocks:
                        raise self._error
                    return
            self._await()

    def take(self) -> bytes:
        """Everything that waits, at least one byte; empty at the end. Raises TransferFailed."""
        while True:
            with self._lock:
                if self._blocks:
                    blocks, self._blocks, self._buffered = self._blocks, [], 0
                    paused = self._paused
                    break
                if self._error is not None:
                    raise self._error
                if self._done:
                    return b""
            self._await()
        if paused:
            self._tell(self)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def cancel(self) -> None:
        """Give up: whoever waits gets TransferFailed, and the connection is dropped unless all has arrived."""
        if not self._done:
            self._cancelled = True
            self.finish(TransferFailed(f"{self.request.url}: given up", Fault.CANCELLED))
            self._tell(self)

    def _await(self) -> None:
        try:
            self._ready.acquire()
        except BaseException:
            self.cancel()  # a signal handler raised while we waited: nobody will read the rest
            raise
        with self._lock:
            self._signalled = False
