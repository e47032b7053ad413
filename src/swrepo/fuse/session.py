"""One FUSE connection: the read loop, replies from any thread, notifications, interrupts. It knows no file system.

The loop reads a request, calls the handler of its opcode and writes what that returns. A handler that cannot answer at
once returns LATER and answers by `Session.answer` from another thread. No exception leaves the loop: a SwrepoError is
answered with its errno, anything else with EIO and a line in the log.

A session can go on with the connection of a process that died: it begins with the requests that one left.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from swrepo.errors import FormatError, SwrepoError
from swrepo.fuse import wire
from swrepo.fuse.arrivals import Arrivals
from swrepo.fuse.connection import Connection
from swrepo.fuse.inflight import InFlight
from swrepo.fuse.request import (
    LATER,
    FailedBefore,
    Handler,
    InterruptRule,
    Later,
    Request,
    nothing,
    open_cached,
    operation,
    refuse_write,
)
from swrepo.fuse.wire import IN_HEADER, Opcode

log = logging.getLogger(__name__)


_HIGHEST_OPCODE = 64
_TRIES = 5
"""Processes that may take over one request, and die, before it is answered with an error."""


class Session(Connection):
    """Serves the requests that arrive on `device`, an open /dev/fuse that is (or is about to be) mounted.

    `handlers`: opcode -> handler, called on the loop's thread only. Opcodes without one get ENOSYS, which the kernel
    remembers for those it can do without; a write gets EROFS. `interrupted`: whether the caller of a request that is
    still under way is to be let go, asked when the kernel reports a signal.
    """

    def __init__(
        self,
        device: int,
        handlers: Mapping[Opcode, Handler],
        interrupted: InterruptRule = lambda _request: True,
        undelivered: Callable[[Request, bytes], None] = lambda _request, _payload: None,
        inflight: InFlight | None = None,
    ) -> None:
        super().__init__(device, undelivered)
        self._inflight = inflight or InFlight()
        self._passthrough: tuple[Handler, Handler] | None = None
        self._hears_of_opening = False
        self.agreement: wire.Agreement | None = None
        self.ready = threading.Event()
        self.counts = [0] * _HIGHEST_OPCODE
        self.waited: Callable[[int, float], object] = lambda _opcode, _seconds: None
        """Told the opcode of each request that was answered later, and how long it took. It must not raise."""
        self._since: dict[int, float] = {}
        self.describe: Callable[[Request], str] = operation
        """Names a request in the log; may be exchanged for one that knows paths. It must not raise."""
        self.work: Callable[[float], bool] = lambda _passed: False
        """What is done on the loop's thread while it waits: see `Arrivals`. It must not raise. Before `run`."""
        self._interrupted = interrupted
        self._pending: dict[int, Request] = {}
        self._arrivals: Arrivals  # made by the loop
        self._handlers: list[Handler] = [self._unknown] * _HIGHEST_OPCODE
        for opcode in wire.WRITING:
            self._handlers[opcode] = refuse_write
        self._handlers[Opcode.INTERRUPT] = self._interrupt
        self._handlers[Opcode.DESTROY] = nothing
        self._handlers[Opcode.IOCTL] = self._no_ioctl
        for opcode, handler in handlers.items():
            self._handlers[opcode] = handler
        self._handlers[Opcode.INIT] = self._init

    def ask_for_passthrough(self, opened: Handler, released: Handler) -> None:
        """Agree on passthrough, if the kernel has it: only then are OPEN and RELEASE sent to these. Before `run`."""
        self._passthrough = opened, released

    def hear_of_opening(self) -> None:
        """Have each OPEN and OPENDIR sent to us, which costs every program that opens something; before `run`."""
        self._hears_of_opening = True

    def exchange(self, opcode: Opcode, change: Callable[[Handler], Handler]) -> Handler:
        """Put what `change` makes of the handler of an opcode in its place, at any time; the one before."""
        before = self._handlers[opcode]
        self._handlers[opcode] = change(before)
        return before

    def go_on(self, agreement: wire.Agreement) -> None:
        """Take over a connection on which another process agreed on `agreement`; before `run`."""
        self.agreement = agreement
        self._switch_open_off(agreement)
        self.ready.set()

    def run(self) -> None:
        """Serve until the file system is unmounted or the connection is aborted."""
        processors = len(os.sched_getaffinity(0))
        self._arrivals = Arrivals(self.device, self._may_stay_awake, processors, work=self.work)
        for inherited in self._inflight.inherited:
            self._inflight.attempt(inherited)
            self._handle_inherited(*inherited)
        device, handlers, counts = self.device, self._handlers, self.counts
        buffers, received = [self._inflight.buffer], self._inflight.received
        unpack, body_at = IN_HEADER.unpack_from, IN_HEADER.size
        make, wait, readv = partial(tuple.__new__, Request), self._arrivals.wait, os.readv
        while True:
            wait()
            try:
                length = readv(device, buffers)
            except BlockingIOError:  # it was taken back
                continue
            except OSError as error:
                if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                    return
                if error.errno == errno.ENOENT:  # the caller was killed before we read its request
                    continue
                raise
            _, opcode, unique, node, uid, gid, pid, _, _ = unpack(buffers[0])
            if opcode >= _HIGHEST_OPCODE:
                self.reply_error(unique, errno.ENOSYS)
                continue
            counts[opcode] += 1
            request = make((unique, opcode, node, uid, gid, pid, received(body_at, length)))
            try:
                payload = handlers[opcode](request)
            except Exception as error:  # noqa: BLE001  # the loop outlives everything
                self._fail(request, error)
                continue
            if isinstance(payload, bytes):
                self._deliver(request, payload)

    def watch(self, descriptor: int, ready: Callable[[], object]) -> None:
        """Have the loop call `ready`, which must not raise, while `descriptor` can be read. On the loop's thread."""
        self._arrivals.watch(descriptor, ready)

    def unwatch(self, descriptor: int) -> None:
        """No more. On the loop's thread."""
        self._arrivals.unwatch(descriptor)

    def _handle_inherited(self, data: bytes, attempts: int) -> None:
        """What another process left without an answer; FORGETs may have been counted, and losing one does no harm."""
        _, opcode, unique, node, uid, gid, pid, _, _ = IN_HEADER.unpack_from(data)
        request = Request(unique, opcode, node, uid, gid, pid, data[IN_HEADER.size :])
        payload: bytes | Later = LATER
        if opcode not in wire.SILENT and opcode < _HIGHEST_OPCODE:
            try:
                if attempts >= _TRIES:
                    raise SwrepoError(f"{attempts} processes died while they answered it")
                payload = self._handlers[opcode](request)
            except Exception as error:  # noqa: BLE001  # as above
                self._fail(request, error)
        if isinstance(payload, bytes):
            self._deliver(request, payload)
        with self._lock:
            if unique not in self._pending:
                self._inflight.answered(unique)

    def requests(self) -> dict[str, int]:
        """How many requests of each kind have reached us."""
        known = {int(opcode): opcode.name for opcode in Opcode}
        return {known.get(number, str(number)): count for number, count in enumerate(self.counts) if count}

    def defer(self, request: Request) -> Later:
        """Note that `request` is answered later, so that it can be interrupted; a handler returns what this returns."""
        with self._lock:
            self._inflight.defer(request.unique)
            self._since[request.unique] = time.monotonic()
            self._pending[request.unique] = request
        return LATER

    def answer(self, request: Request, outcome: bytes | BaseException) -> bool:
        """Answer a deferred request; False when nobody waits for it any more. From any thread."""
        with self._lock:
            if self._pending.pop(request.unique, None) is None:
                return False
        try:
            if isinstance(outcome, bytes):
                return self._deliver(request, outcome)
            self._fail(request, outcome)
            return True
        finally:
            self._settled(request)

    def is_pending(self, request: Request) -> bool:
        """Whether somebody still waits for the deferred request."""
        return request.unique in self._pending

    def pending(self) -> list[Request]:
        """The deferred requests that have no answer yet, the oldest first. From any thread."""
        with self._lock:
            return list(self._pending.values())

    def release_killed(self) -> None:
        """Let go those whose interrupting signal was no reason once and is one by now. From any thread."""
        for request in self.pending():
            if self._interrupted(request):
                self._let_go(request)

    def _fail(self, request: Request, error: BaseException) -> None:
        if isinstance(error, SwrepoError):
            number = error.errno
            if number == errno.EIO and not isinstance(error, FailedBefore):
                log.error("%s failed: %s", self.describe(request), _with_notes(error))
        else:
            number = errno.EIO
            log.error("%s failed", self.describe(request), exc_info=error)
        self._count_error(number)
        if request.opcode not in wire.SILENT:
            self.reply_error(request.unique, number)

    def _may_stay_awake(self) -> bool:
        """Whether all who wait for an answer wait for what the loop itself waits for."""
        return len(self._pending) <= len(self._arrivals.watched)

    def _init(self, request: Request) -> bytes | Later:
        try:
            agreement = wire.negotiate(request.body, wire.WANTED if self._passthrough is None else wire.PASSTHROUGH)
        except FormatError as error:
            log.error("%s", error)  # noqa: TRY400  # a fact about the kernel, no trace needed
            self.reply_error(request.unique, errno.EPROTO)
            return LATER
        if not agreement.retry:
            if self._passthrough is not None and not agreement.passes_through:
                log.warning("no passthrough: it needs kernel 6.9 or newer, built with it")
            self.agreement = agreement
            self._switch_open_off(agreement)
            self.ready.set()
        return agreement.reply

    def _switch_open_off(self, agreement: wire.Agreement) -> None:
        """Where the kernel does not take ENOSYS to OPEN for "cache everything", say so to every OPEN."""
        if agreement.passes_through and self._passthrough is not None:
            self._handlers[Opcode.OPEN], self._handlers[Opcode.RELEASE] = self._passthrough
        elif self._hears_of_opening or not agreement.may_refuse_open:
            self._handlers[Opcode.OPEN] = open_cached
            self._handlers[Opcode.RELEASE] = nothing
        if self._hears_of_opening or not agreement.may_refuse_opendir:
            self._handlers[Opcode.OPENDIR] = open_cached
            self._handlers[Opcode.RELEASEDIR] = nothing

    def _interrupt(self, request: Request) -> Later:
        (unique,) = wire.INTERRUPT_IN.unpack_from(request.body)
        with self._lock:
            waiting = self._pending.get(unique)
        if waiting is not None and self._interrupted(waiting):
            self._let_go(waiting)
        return LATER

    def _let_go(self, request: Request) -> None:
        with self._lock:
            if self._pending.pop(request.unique, None) is None:
                return
        self.reply_error(request.unique, errno.EINTR)
        self._settled(request)

    def _settled(self, request: Request) -> None:
        with self._lock:
            since = self._since.pop(request.unique, None)
            self._inflight.answered(request.unique)
        if since is not None:
            self.waited(request.opcode, time.monotonic() - since)

    def _no_ioctl(self, request: Request) -> Later:
        self.reply_error(request.unique, errno.ENOTTY)  # `isatty` of every program that opens a file
        return LATER

    def _unknown(self, request: Request) -> Later:
        if request.opcode not in wire.SILENT:
            self.reply_error(request.unique, errno.ENOSYS)
        return LATER


def _with_notes(error: BaseException) -> str:
    """The message, and what was noted on the error on its way: the servers that were tried, for one."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])
