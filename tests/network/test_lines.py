"""Small objects over lines that stand: without waiting, and what happens where it goes wrong."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from swrepo.errors import CorruptObject
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.net.faults import TransferFailed
from swrepo.net.http import HttpClient, Timeouts
from swrepo.net.lines import IDLE, MOST, Line, Lines, Peer
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import DIRECT, ProxyGroups, Routes
from swrepo.objects import codec
from swrepo.objects.store import Coming, Want
from tests.faults import Behaviour, FaultServer, instead, not_http, reset, silent, status, truncated, unannounced
from tests.simulator import flipped

PLAINS = [b"file %d, " % number * 300 for number in range(40)]
STORED = [codec.encode(plain, Compression.ZLIB) for plain in PLAINS]
WANTS = [Want(ObjectId.of(stored), size=len(plain)) for stored, plain in zip(STORED, PLAINS, strict=True)]
CONTENTS = {f"/{want.id.path}": stored for want, stored in zip(WANTS, STORED, strict=True)}
WANT, PLAIN, PATH = WANTS[0], PLAINS[0], f"/{WANTS[0].id.path}"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(CONTENTS) as found:
        yield found


@pytest.fixture
def client() -> Iterator[HttpClient]:
    found = HttpClient(timeouts=Timeouts(direct=30.0))
    yield found
    found.close()


def remote(client: HttpClient, server: FaultServer, proxies: ProxyGroups = DIRECT) -> RemoteRepository:
    return RemoteRepository(Routes([server.url], proxies), client, pause=lambda _seconds: None)


def opened(client: HttpClient, server: FaultServer) -> None:
    client.lines.open(Peer(*server.address))


def arrived(coming: Coming | None) -> bytes:
    """Wait for it as the loop does."""
    assert coming is not None
    while (plain := coming.advance()) is None:
        select.select([coming], [], [])
    return plain


def test_an_object_comes_over_a_line_that_stands(client: HttpClient, server: FaultServer) -> None:
    opened(client, server)
    repository = remote(client, server)
    for want, plain in zip(WANTS, PLAINS, strict=True):
        assert arrived(repository.begin(want)) == plain
    assert server.connections == 1
    assert [asked.target for asked in server.requests] == list(CONTENTS)
    assert server.requests[0].headers["user-agent"].startswith("cvmfs swrepo ")
    assert repository.traffic.responses == len(WANTS)
    assert repository.traffic.received_bytes == sum(map(len, STORED))


def test_where_no_line_stands_one_is_opened_for_the_next(client: HttpClient, server: FaultServer) -> None:
    repository = remote(client, server)
    assert repository.begin(WANT) is None
    for thread in [thread for thread in threading.enumerate() if thread.name == "line"]:
        thread.join()
    assert arrived(repository.begin(WANT)) == PLAIN


def test_a_proxy_is_asked_for_the_whole_url(client: HttpClient) -> None:
    with FaultServer({f"http://software.example.org/x{PATH}": STORED[0]}) as proxy:
        opened(client, proxy)
        repository = RemoteRepository(Routes(["http://software.example.org/x"], ((proxy.url,),)), client)
        assert arrived(repository.begin(WANT)) == PLAIN
        assert proxy.requests[0].headers["host"] == "software.example.org"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://software.example.org/x", None),
        ("http://user:secret@software.example.org/x", None),
        ("http://software.example.org/x", "http://user:secret@proxy.example.org:3128"),
        ("http://software.example.org/x", "socks5://proxy.example.org:3128"),
    ],
)
def test_what_needs_libcurl_is_left_to_it(client: HttpClient, url: str, proxy: str | None) -> None:
    assert client.lines.target(url, proxy) is None


FAULTS: dict[str, tuple[Behaviour, type[Exception]]] = {
    "reset": (reset, TransferFailed),
    "cut short": (truncated(20), TransferFailed),
    "another protocol": (not_http, TransferFailed),
    "without a length": (unannounced, TransferFailed),
    "404": (status(404), TransferFailed),
    "500": (status(500), TransferFailed),
    "too long": (instead(b"x" * 200_000), TransferFailed),
    "flipped bit": (instead(flipped(STORED[0], 99)), CorruptObject),
    "captive portal": (instead(b"<html>please log in</html>"), CorruptObject),
}


ANSWERED_WRONGLY = {"404", "500", "flipped bit", "captive portal"}
"""What counts as a failed try; in the other cases it is only not over this line that the object can be had."""


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_come_so_is_fetched_in_other_ways(client: HttpClient, server: FaultServer, fault: str) -> None:
    behaviour, error = FAULTS[fault]
    opened(client, server)
    server.next(PATH, behaviour)
    repository = remote(client, server)
    with pytest.raises(error):
        arrived(repository.begin(WANT))
    assert repository.traffic.failed == (fault in ANSWERED_WRONGLY)
    got: dict[Want, bytes] = {}
    assert repository.fetch_many([WANT], got.__setitem__) == []
    assert got == {WANT: PLAIN}


def test_what_takes_too_long_is_ended_and_others_are_not_begun(client: HttpClient, server: FaultServer) -> None:
    opened(client, server)
    opened(client, server)
    server.next(PATH, silent)
    repository = remote(client, server)
    coming = repository.begin(WANT)
    assert coming is not None
    coming.check(0.0)
    coming.check(float("inf"))
    with pytest.raises(TransferFailed) as caught:
        arrived(coming)
    assert caught.value.timed_out
    assert repository.traffic.failed == 1
    assert repository.begin(WANTS[1]) is None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened_beside() -> None:
    for thread in [thread for thread in threading.enumerate() if thread.name == "line"]:
        thread.join()


def test_lines_are_opened_together_before_anything_is_asked_for(client: HttpClient, server: FaultServer) -> None:
    repository = remote(client, server)
    repository.make_ready(4)
    opened_beside()
    comings = [repository.begin(want) for want in WANTS[:4]]
    assert [arrived(coming) for coming in comings] == PLAINS[:4]
    assert server.connections == 4


def test_through_a_proxy_lines_are_opened_to_the_proxy(client: HttpClient) -> None:
    with FaultServer({f"http://software.example.org/x{PATH}": STORED[0]}) as proxy:
        repository = RemoteRepository(Routes(["http://software.example.org/x"], ((proxy.url,),)), client)
        repository.make_ready(2)
        opened_beside()
        assert arrived(repository.begin(WANT)) == PLAIN


def test_after_a_pause_as_many_lines_are_opened_as_there_were(server: FaultServer) -> None:
    clock, peer = Clock(), Peer(*server.address)
    lines = Lines(lambda _host: (), user_agent="test", clock=clock)
    for _ in range(3):
        lines.open(peer)
    clock.now += IDLE + 1
    assert lines.take(peer) is None
    opened_beside()
    again = [lines.take(peer) for _ in range(3)]
    assert None not in again
    lines.close()
    for line in again:
        assert line is not None
        lines.drop(line)


def test_connections_of_batches_are_kept_whoever_runs_the_next(client: HttpClient, server: FaultServer) -> None:
    repository = remote(client, server)
    for want, plain in zip(WANTS[:5], PLAINS, strict=False):
        got: dict[Want, bytes] = {}
        thread = threading.Thread(target=repository.fetch_many, args=([want], got.__setitem__))
        thread.start()
        thread.join()
        assert got == {want: plain}
    assert server.connections == 1


def test_a_line_that_the_server_closed_is_not_used(client: HttpClient, server: FaultServer) -> None:
    opened(client, server)
    server.next(PATH, status(200, {"Connection": "close"}, STORED[0]))
    repository = remote(client, server)
    assert arrived(repository.begin(WANT)) == PLAIN
    assert repository.begin(WANT) is None


def test_no_more_lines_are_opened_than_are_allowed(client: HttpClient, server: FaultServer) -> None:
    peer = Peer(*server.address)
    lent: list[Line] = []
    for _ in range(MOST):
        client.lines.open(peer)
        line = client.lines.take(peer)
        assert line is not None
        lent.append(line)
    client.lines.open_soon(peer)
    assert not [thread for thread in threading.enumerate() if thread.name == "line"]
    assert client.lines.take(peer) is None
    for line in lent:
        client.lines.drop(line)


def test_closing_the_client_ends_what_is_on_its_way(client: HttpClient, server: FaultServer) -> None:
    opened(client, server)
    server.next(PATH, silent)
    repository = remote(client, server)
    coming = repository.begin(WANT)
    client.close()
    with pytest.raises(TransferFailed):
        arrived(coming)
