"""One GET over real sockets: what the client does with servers that behave, and with those that do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from swrepo.errors import Unreachable
from swrepo.net import transfer
from swrepo.net.easy import Easy
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.http import NO_CACHE, HttpClient, Timeouts
from swrepo.net.loop import NetworkThread
from tests.conftest import ExpectedWarnings
from tests.faults import (
    Exchange,
    FaultServer,
    not_http,
    refusing,
    reset,
    silent,
    stalled,
    status,
    swallowing,
    truncated,
    unannounced,
)

BIG = os.urandom(1 << 20) * 12
CONTENTS = {"/small": b"a small one", "/empty": b"", "/big": BIG}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(CONTENTS) as found:
        yield found


@pytest.fixture
def client() -> Iterator[HttpClient]:
    found = HttpClient(timeouts=Timeouts(direct=1.0, proxied=1.0))
    yield found
    found.close()


def got(client: HttpClient, url: str, **options: object) -> bytes:
    with client.stream(url, **options) as response:
        return b"".join(response.blocks)


@pytest.mark.parametrize("path", CONTENTS)
def test_a_response_has_status_headers_and_body(client: HttpClient, server: FaultServer, path: str) -> None:
    with client.stream(server.url + path) as response:
        assert response.status == 200
        assert response.headers["content-length"] == str(len(CONTENTS[path]))
        assert b"".join(response.blocks) == CONTENTS[path]


def test_a_status_is_not_an_error(client: HttpClient, server: FaultServer) -> None:
    with client.stream(server.url + "/nothing") as response:
        assert response.status == 404
        assert b"".join(response.blocks) == b"an error page"


def test_a_body_without_announced_length_is_read_to_its_end(client: HttpClient, server: FaultServer) -> None:
    server.next("/big", unannounced)
    assert got(client, server.url + "/big") == BIG


def test_connections_are_kept(client: HttpClient, server: FaultServer) -> None:
    for _ in range(20):
        got(client, server.url + "/small")
    assert len(server.requests) == 20
    assert server.connections == 1


def test_the_agent_is_named_and_caches_may_answer(client: HttpClient, server: FaultServer) -> None:
    got(client, server.url + "/small")
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("cvmfs swrepo ")
    assert "pragma" not in headers
    assert "cache-control" not in headers


def test_headers_are_sent_for_one_request_only(client: HttpClient, server: FaultServer) -> None:
    got(client, server.url + "/small", headers=NO_CACHE)
    got(client, server.url + "/small")
    first, second = (asked.headers for asked in server.requests)
    assert (first["pragma"], first["cache-control"]) == ("no-cache", "no-cache")
    assert "pragma" not in second


def test_redirects_are_shown_and_not_followed(client: HttpClient, server: FaultServer) -> None:
    server.next("/small", status(302, {"Location": "/big"}))
    with client.stream(server.url + "/small") as response:
        assert response.status == 302
    assert server.count("/big") == 0


def test_redirects_are_followed_where_allowed(server: FaultServer) -> None:
    client = HttpClient(max_redirects=2)
    server.next("/small", status(302, {"Location": "/big", "X-Head": "first"}))
    with client.stream(server.url + "/small") as response:
        assert response.status == 200
        assert "x-head" not in response.headers
        assert b"".join(response.blocks) == BIG
    client.close()


def test_ipv6_addresses_work(client: HttpClient) -> None:
    with FaultServer(CONTENTS, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert got(client, server.url + "/small") == b"a small one"


def test_the_environment_has_no_say(client: HttpClient, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as nowhere:
        monkeypatch.setenv("http_proxy", nowhere)
        monkeypatch.setenv("all_proxy", nowhere)
        assert got(client, server.url + "/small") == b"a small one"


def test_a_proxy_is_asked_for_the_whole_url_whatever_no_proxy_says(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with FaultServer({"http://software.example.org/x": b"through"}) as proxy:
        assert got(client, "http://software.example.org/x", proxy=proxy.url) == b"through"


def test_many_threads_share_the_connections(server: FaultServer) -> None:
    client = HttpClient(connections=4)
    with ThreadPoolExecutor(16) as threads:
        bodies = list(threads.map(lambda _: got(client, server.url + "/small"), range(400)))
    assert bodies == [b"a small one"] * 400
    assert server.connections <= 4
    client.close()


def test_more_requests_than_connections_wait_for_their_turn() -> None:
    both_here = threading.Barrier(2, timeout=60)

    def pair(exchange: Exchange) -> None:
        both_here.wait()
        status(200, body=b"one of two")(exchange)

    with FaultServer({}) as server:
        server.always(pair)
        client = HttpClient(connections=2, timeouts=Timeouts(direct=60))
        with ThreadPoolExecutor(6) as threads:
            assert set(threads.map(lambda _: got(client, server.url + "/x"), range(6))) == {b"one of two"}
        assert server.connections == 2
        client.close()


def test_a_slow_reader_stops_the_sender_and_loses_nothing(client: HttpClient) -> None:
    sent = 0
    blocked = threading.Event()

    def pour(exchange: Exchange) -> None:
        nonlocal sent
        exchange.head(200, {"Content-Length": str(64 << 20)})
        exchange.connection.settimeout(0.3)
        block = bytes(1 << 20)
        view = memoryview(block)
        while sent < 64 << 20:
            try:
                sent += exchange.connection.send(view[: min(len(block), (64 << 20) - sent)])
            except TimeoutError:
                blocked.set()
                exchange.connection.settimeout(60)

    with FaultServer({}) as server:
        server.always(pour)
        with client.stream(server.url + "/endless") as response:
            blocks = response.blocks
            received = len(next(blocks))
            assert blocked.wait(60)
            # Some of it waits in the kernel's buffers of both ends; we hold two buffers at most.
            assert sent < 32 << 20
            received += sum(map(len, blocks))
    assert received == 64 << 20


def test_no_more_than_the_buffer_is_held(client: HttpClient, server: FaultServer) -> None:
    with client.stream(server.url + "/big") as response:
        blocks = list(response.blocks)
    assert max(map(len, blocks)) <= transfer.BUFFER
    assert b"".join(blocks) == BIG


def test_what_is_not_read_is_dropped_and_the_client_goes_on(client: HttpClient, server: FaultServer) -> None:
    for _ in range(5):
        with client.stream(server.url + "/big") as response:
            next(response.blocks)
    assert got(client, server.url + "/small") == b"a small one"


@pytest.mark.parametrize("behaviour", [reset, truncated(5), not_http, truncated(0)])
def test_a_broken_answer_is_a_failed_transfer(client: HttpClient, server: FaultServer, behaviour: object) -> None:
    server.next("/small", behaviour)
    with pytest.raises(Unreachable, match=server.url) as failure:
        got(client, server.url + "/small")
    assert failure.value.fault in (Fault.BROKEN, Fault.UNUSABLE)
    assert got(client, server.url + "/small") == b"a small one"


@pytest.mark.parametrize("behaviour", [silent, stalled(0), stalled(7)])
def test_a_stall_ends_by_the_low_speed_limit(client: HttpClient, server: FaultServer, behaviour: object) -> None:
    server.next("/small", behaviour)
    with pytest.raises(TransferFailed, match=r"too slow|timed out") as failure:
        got(client, server.url + "/small")
    assert failure.value.fault is Fault.BROKEN


def test_a_refused_connection_is_a_failed_transfer(client: HttpClient) -> None:
    with refusing() as url, pytest.raises(TransferFailed, match="connect") as failure:
        got(client, url + "/x")
    assert failure.value.fault is Fault.BROKEN


def test_a_connection_that_is_not_taken_ends_by_the_connect_timeout() -> None:
    client = HttpClient(timeouts=Timeouts(direct=0.2))
    with swallowing() as url, pytest.raises(TransferFailed, match=r"timed out|Timeout") as failure:
        got(client, url + "/x")
    assert failure.value.fault is Fault.BROKEN
    client.close()


def test_a_name_that_does_not_resolve_is_told_apart(client: HttpClient, server: FaultServer) -> None:
    with pytest.raises(TransferFailed) as failure:
        got(client, "http://no-such-host.invalid/x")
    assert failure.value.fault is Fault.SERVER_NAME
    with pytest.raises(TransferFailed) as failure:
        got(client, server.url + "/small", proxy="http://no-such-proxy.invalid:3128")
    assert failure.value.fault is Fault.PROXY_NAME


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://[::1", "no url at all", "http://\udcff/"]
)
def test_a_url_that_is_none_is_refused(client: HttpClient, url: str) -> None:
    with pytest.raises(TransferFailed) as failure:
        got(client, url)
    assert failure.value.fault in (Fault.UNUSABLE, Fault.SERVER_NAME)


def test_a_request_can_be_cancelled_while_somebody_waits(server: FaultServer) -> None:
    asked = threading.Event()

    def hang(exchange: Exchange) -> None:
        asked.set()
        silent(exchange)

    server.next("/small", hang)
    client = HttpClient()
    with ThreadPoolExecutor(1) as threads:
        request = client.start(server.url + "/small")
        waiting = threads.submit(request.wait)
        assert asked.wait(60)
        request.cancel()
        with pytest.raises(TransferFailed, match="given up"):
            waiting.result(60)
    assert got(client, server.url + "/small") == b"a small one"
    client.close()


class Interrupted(Exception):
    """What the handler of a signal raises, as that of Ctrl-C does."""


def test_a_signal_that_raises_ends_the_waiting_and_the_request(server: FaultServer) -> None:
    def handler(_number: int, _frame: object) -> None:
        raise Interrupted

    def interrupt(exchange: Exchange) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        exchange.connection.recv(1)  # until the client hangs up
        hung_up.set()
        exchange.keep_alive = False

    hung_up = threading.Event()
    server.next("/small", interrupt)
    client = HttpClient()
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Interrupted):
            client.stream(server.url + "/small")
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert hung_up.wait(60)
    assert got(client, server.url + "/small") == b"a small one"
    client.close()


def test_closing_the_client_fails_those_who_wait(server: FaultServer) -> None:
    asked = threading.Event()

    def hang(exchange: Exchange) -> None:
        asked.set()
        silent(exchange)

    server.always(hang)
    client = HttpClient(connections=1)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(got, client, server.url + "/small") for _ in range(3)]
        assert asked.wait(60)
        client.close()
        for one in waiting:
            with pytest.raises(Unreachable, match="closed"):
                one.result(60)
    with pytest.raises(Unreachable, match="closed"):
        client.stream(server.url + "/small")
    client.close()


class FailingThread(NetworkThread):
    """A network thread with an error in its code, which shows when a certain URL is asked for."""

    def _peer_failure(self) -> None:
        raise ZeroDivisionError

    def _start(self, request: transfer.Transfer, peer: str) -> None:
        if request.request.url.endswith("/trigger"):
            self._peer_failure()
        super()._start(request, peer)


def test_an_error_in_the_network_thread_fails_everybody_and_hangs_nobody(
    server: FaultServer, expected_warnings: ExpectedWarnings
) -> None:
    expected_warnings("the network thread failed")
    asked = threading.Event()

    def hang(exchange: Exchange) -> None:
        asked.set()
        silent(exchange)

    server.next("/small", hang)
    client = HttpClient()
    client._thread = FailingThread(client._options, 1)
    with ThreadPoolExecutor(3) as threads:
        running = threads.submit(got, client, server.url + "/small")
        assert asked.wait(60)
        queued = threads.submit(got, client, server.url + "/big")
        with pytest.raises(Unreachable, match="ZeroDivisionError"):
            got(client, "http://127.0.0.1:9/trigger")
        for one in (running, queued):
            with pytest.raises(Unreachable, match="network thread"):
                one.result(60)
    assert got(client, server.url + "/small") == b"a small one", "another thread has taken its place"
    client.close()


class CancellingThread(NetworkThread):
    """A network thread whose transfers are given up in the moment in which they are resumed."""

    def _resume(self, request: transfer.Transfer, easy: Easy) -> None:
        request.cancel()
        super()._resume(request, easy)


def test_a_transfer_that_is_given_up_while_it_is_resumed_harms_no_other(server: FaultServer) -> None:
    client = HttpClient()
    client._thread = CancellingThread(client._options, 4)
    response = client.stream(server.url + "/big")
    while not response._transfer.is_paused:  # more came than is kept, since nobody reads yet
        threading.Event().wait(0.01)
    with pytest.raises(TransferFailed):
        list(response.blocks)
    assert got(client, server.url + "/small") == b"a small one"
    client.close()


def test_a_child_process_has_connections_of_its_own(client: HttpClient, server: FaultServer) -> None:
    got(client, server.url + "/small")
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if got(client, server.url + "/small") == b"a small one" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert got(client, server.url + "/small") == b"a small one"
    assert server.connections == 2


UNUSED = """
import gc, os, threading
from swrepo.net.http import HttpClient

before = set(os.listdir("/proc/self/fd")), threading.enumerate()
client = HttpClient()
del client
gc.collect()
assert (set(os.listdir("/proc/self/fd")), threading.enumerate()) == before
"""


def test_a_client_that_nobody_used_needs_no_closing_and_leaves_nothing() -> None:
    subprocess.run([sys.executable, "-c", UNUSED], check=True)  # where nothing of other tests ends meanwhile


def test_closing_gives_back_threads_and_descriptors(server: FaultServer) -> None:
    before = len(os.listdir("/proc/self/fd"))
    client = HttpClient()
    got(client, server.url + "/small")
    client.close()
    server.close()
    assert not any(thread.name == "swrepo-net" for thread in threading.enumerate())
    assert len(os.listdir("/proc/self/fd")) <= before
