"""The network thread: libcurl's multi interface, driving every transfer of one client.

It owns all handles of libcurl; other threads reach it through `attend` and `close` only. Whatever ends it (closing,
an error in this code) fails every transfer that waits, so nobody hangs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

import pycurl

from swrepo.net.easy import Easy, EasyOptions, fault_of
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.readiness import new_readiness
from swrepo.net.transfer import Transfer

log = logging.getLogger(__name__)


class NetworkThread:
    """Runs transfers, at most `per_peer` at a time for each server or proxy; the others queue here in order."""

    def __init__(self, options: EasyOptions, per_peer: int) -> None:
        self._options = options
        self._per_peer = per_peer
        self._inbox: deque[Transfer] = deque()
        self._asleep = False
        self._closing = False
        self._ended = False
        self._wake_lock = threading.Lock()
        self._readiness = new_readiness()
        self._deadline: float | None = None
        self._running: dict[Transfer, Easy] = {}
        self._eager: list[Easy] = []
        self._finished: list[tuple[Transfer, TransferFailed | None]] = []
        self._idle: list[Easy] = []
        self._queues: dict[str, deque[Transfer]] = {}
        self._active: dict[str, int] = {}
        self._multi = self._new_multi()
        self._thread = threading.Thread(target=self._run, name="swrepo-net", daemon=True)
        self._thread.start()

    # -- any thread --

    @property
    def has_ended(self) -> bool:
        """Whether nothing is transferred any more."""
        return self._ended

    def attend(self, transfer: Transfer) -> None:
        """Have the network thread look at a transfer: start it, resume it, or drop it."""
        self._inbox.append(transfer)
        if self._ended:
            self._fail_inbox("the network thread has ended")
        elif self._asleep:
            self._wake()

    def close(self) -> None:
        """End the thread; transfers under way fail."""
        self._closing = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _wake(self) -> None:
        with self._wake_lock:
            if not self._ended:
                self._asleep = False
                self._readiness.ring()

    # -- the network thread --

    def _run(self) -> None:
        reason = "the HTTP client was closed"
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:
            reason = f"the network thread failed: {error!r}"
            log.exception("the network thread failed; the next request starts another")
        finally:
            with self._wake_lock:
                self._ended = True
            self._fail_all(reason)
            self._release()

    def _turn(self) -> None:
        while self._inbox:
            self._attend(self._inbox[0])  # taken out afterwards: if this raises, it is among those that are failed
            self._inbox.popleft()
        timeout = self._timeout()
        if timeout != 0:
            self._asleep = True
            if self._inbox or self._closing:
                timeout = 0.0
        ready = self._readiness.wait(timeout)
        self._asleep = False
        for descriptor, events in ready:
            self._multi.socket_action(descriptor, events)
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._deadline = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _timeout(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic())

    def _attend(self, transfer: Transfer) -> None:
        easy = self._running.get(transfer)
        if easy is None:
            if not transfer.done:
                self._admit(transfer)
        elif transfer.cancelled:
            self._retire(transfer, easy)
        elif transfer.wants_more():
            self._resume(transfer, easy)

    def _resume(self, transfer: Transfer, easy: Easy) -> None:
        try:
            easy.curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error as error:  # it delivers at once, and was cancelled meanwhile, or cannot go on
            code, text = error.args
            transfer.finish(fault_of(easy, code, text))
            self._retire(transfer, easy)

    def _admit(self, transfer: Transfer) -> None:
        peer = _peer(transfer)
        if self._active.get(peer, 0) < self._per_peer:
            self._start(transfer, peer)
        else:
            self._queues.setdefault(peer, deque()).append(transfer)

    def _start(self, transfer: Transfer, peer: str) -> None:
        easy = self._idle.pop() if self._idle else Easy(self._options, self._eager)
        try:
            easy.prepare(transfer)
            self._multi.add_handle(easy.curl)
        except (pycurl.error, UnicodeError, ValueError) as error:
            easy.release()
            self._idle.append(easy)
            transfer.finish(TransferFailed(f"{transfer.request.url}: cannot be asked for: {error}", Fault.UNUSABLE))
            return
        self._active[peer] = self._active.get(peer, 0) + 1
        self._running[transfer] = easy

    def _collect(self) -> None:
        queued = 1
        while queued:
            queued, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._complete(curl.easy, None)
            for curl, code, text in failed:
                self._complete(curl.easy, fault_of(curl.easy, code, text))
        for easy in self._eager:
            if easy.transfer is not None:
                easy.deliver_head()
                easy.transfer.start_reading()
        self._eager.clear()
        # Only now: each call of libcurl lets go of the interpreter lock, and workers that are awake would take it.
        for transfer, error in self._finished:
            transfer.finish(error)
        self._finished.clear()

    def _complete(self, easy: Easy, error: TransferFailed | None) -> None:
        transfer = easy.transfer
        if transfer is not None:
            easy.deliver_head()
            self._finished.append((transfer, error))
            self._retire(transfer, easy)

    def _retire(self, transfer: Transfer, easy: Easy) -> None:
        del self._running[transfer]
        self._multi.remove_handle(easy.curl)
        easy.release()
        self._idle.append(easy)
        peer = _peer(transfer)
        self._active[peer] -= 1
        queue = self._queues.get(peer)
        while queue and self._active[peer] < self._per_peer:
            if not queue[0].done:
                self._start(queue[0], peer)
            queue.popleft()
        if not queue:
            self._queues.pop(peer, None)
            if not self._active[peer]:
                del self._active[peer]

    # -- libcurl's wishes --

    def _new_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        multi.setopt(pycurl.M_MAXCONNECTS, 2 * self._per_peer)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        return multi

    def _watch(self, wish: int, descriptor: int, _multi: object, _data: object) -> None:
        self._readiness.watch(descriptor, wish)

    def _set_timer(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    # -- the end --

    def _fail_all(self, reason: str) -> None:
        for transfer, error in self._finished:
            transfer.finish(error)
        for transfer in (*self._running, *(transfer for queue in self._queues.values() for transfer in queue)):
            _fail(transfer, reason)
        self._fail_inbox(reason)

    def _fail_inbox(self, reason: str) -> None:
        while True:
            try:
                transfer = self._inbox.popleft()
            except IndexError:
                return
            _fail(transfer, reason)

    def _release(self) -> None:
        for easy in self._running.values():
            self._multi.remove_handle(easy.curl)
        for easy in (*self._running.values(), *self._idle):
            easy.curl.close()
        self._running.clear()
        self._idle.clear()
        self._multi.close()
        self._readiness.close()


def _fail(transfer: Transfer, reason: str) -> None:
    transfer.finish(TransferFailed(f"{transfer.request.url}: {reason}", Fault.CANCELLED))


def _peer(transfer: Transfer) -> str:
    """Whose connections a transfer uses: the proxy, or the server."""
    url = transfer.request.url
    return transfer.request.proxy or url[: url.find("/", len("https://"))]
