"""A repository over HTTP with everything that goes wrong: retries, fail-over, and what the error says in the end."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO

import pytest

from swrepo.config.network import NameParameters, NetworkParameters
from swrepo.errors import CorruptObject, ObjectNotFound, ObjectTooLarge, TruncatedObject, Unreachable
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.net.connect import Chain, Connection
from swrepo.net.http import HttpClient, Timeouts
from swrepo.net.remote import Patience, RemoteRepository
from swrepo.net.routes import DIRECT, ProxyGroups, Route, Routes
from swrepo.objects import codec
from swrepo.objects.store import Want
from tests.faults import (
    Exchange,
    FaultServer,
    instead,
    not_http,
    refusing,
    reset,
    silent,
    stalled,
    status,
    truncated,
    truth,
)
from tests.simulator import flipped

PLAIN = bytes(range(256)) * 40
STORED = codec.encode(PLAIN, Compression.ZLIB)
WANT = Want(ObjectId.of(STORED), size=len(PLAIN))
PATH = f"/{WANT.id.path}"
CONTENTS = {PATH: STORED, "/.cvmfspublished": b"a manifest"}


@pytest.fixture
def client() -> Iterator[HttpClient]:
    found = HttpClient(timeouts=Timeouts(direct=1.0, proxied=1.0))
    yield found
    found.close()


@pytest.fixture
def servers() -> Iterator[tuple[FaultServer, FaultServer]]:
    with FaultServer(CONTENTS) as first, FaultServer(CONTENTS) as second:
        yield first, second


class Pauses:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def remote(
    client: HttpClient,
    *urls: str,
    proxies: ProxyGroups = DIRECT,
    retries: int = 1,
    pause: Callable[[float], None] = lambda _seconds: None,
) -> RemoteRepository:
    routes = Routes(urls, proxies, pick=lambda candidates: candidates[0])
    return RemoteRepository(routes, client, patience=Patience(retries), pause=pause, uniform=lambda _low, high: high)


def fetched(repository: RemoteRepository) -> bytes:
    out = BytesIO()
    repository.fetch(WANT, out)
    return out.getvalue()


FAULTS = {
    "reset": reset,
    "cut short": truncated(20),
    "empty": truncated(0),
    "stall": stalled(9),
    "another protocol": not_http,
    "400": status(400),
    "403": status(403),
    "404": status(404),
    "410": status(410),
    "429": status(429),
    "500": status(500),
    "503": status(503),
    "redirect": status(302, {"Location": "http://captive.portal/"}),
    "flipped bit": instead(flipped(STORED, 99)),
    "shorter object": instead(STORED[:-1]),
    "longer object": instead(STORED + b"x"),
    "captive portal": instead(b"<html>please log in</html>" * 50),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_another_server_stands_in(client: HttpClient, servers: tuple[FaultServer, FaultServer], fault: str) -> None:
    first, second = servers
    first.always(FAULTS[fault])
    repository = remote(client, first.url, second.url)
    assert fetched(repository) == PLAIN
    assert second.count(PATH) == 1
    assert repository.routes.current() == Route(second.url)


def test_a_refused_connection_leads_to_the_next_server(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    with refusing() as nowhere:
        repository = remote(client, nowhere, servers[0].url)
        assert fetched(repository) == PLAIN
        assert repository.routes.current() == Route(servers[0].url)


@pytest.mark.parametrize("fault", ["reset", "cut short", "empty", "stall", "429"])
def test_a_passing_fault_is_retried_on_the_same_server(
    client: HttpClient, servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    first, second = servers
    first.next(PATH, FAULTS[fault])
    repository = remote(client, first.url, second.url)
    assert fetched(repository) == PLAIN
    assert (first.count(PATH), second.count(PATH)) == (2, 0)


def test_pauses_double_up_to_ten_seconds_where_there_is_no_other_server(client: HttpClient) -> None:
    pause = Pauses()
    with FaultServer(CONTENTS) as server:
        server.always(status(429))
        with pytest.raises(Unreachable):
            fetched(remote(client, server.url, retries=5, pause=pause))
    assert pause.seconds == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_corrupt_bytes_are_asked_for_again_past_all_caches(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    first, second = servers
    first.next(PATH, FAULTS["flipped bit"])
    assert fetched(remote(client, first.url, second.url)) == PLAIN
    plain, again = (asked.headers for asked in first.requests)
    assert "cache-control" not in plain
    assert (again["pragma"], again["cache-control"]) == ("no-cache", "no-cache")
    assert second.requests == []


def test_corrupt_everywhere_is_a_corrupt_object(client: HttpClient, servers: tuple[FaultServer, FaultServer]) -> None:
    for server in servers:
        server.always(FAULTS["flipped bit"])
    with pytest.raises(CorruptObject, match=WANT.id.text) as failure:
        fetched(remote(client, *(server.url for server in servers)))
    assert all(server.url in failure.value.__notes__[0] for server in servers)
    assert [server.count(PATH) for server in servers] == [2, 2]


def test_an_object_that_is_missing_on_one_server_comes_from_another(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    first, second = servers
    first.next(PATH, status(404))
    assert fetched(remote(client, first.url, second.url)) == PLAIN


def test_not_found_is_said_only_when_every_server_says_so(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    first, second = servers
    repository = remote(client, first.url, second.url)
    with pytest.raises(ObjectNotFound, match=r"cvmfs_last_snapshot.*404.*404"):
        repository.read(".cvmfs_last_snapshot")
    assert repository.routes.current() == Route(first.url), "what nobody has is no reason to leave a server"
    second.always(status(500))
    with pytest.raises(Unreachable, match=r"404.*500"):
        repository.read(".cvmfs_last_snapshot")


def test_unreachable_carries_each_try_as_a_sentence(client: HttpClient) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(refusing()) for _ in range(3)]
        with pytest.raises(Unreachable, match="cannot get object") as failure:
            fetched(remote(client, *urls, retries=1))
    tried = [next(url for url in urls if url in sentence) for sentence in failure.value.tries]
    assert tried == [urls[0], urls[0], urls[1], urls[2]]


def test_nothing_of_a_failed_try_is_left_in_the_file(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    raw = bytes(3 << 20)
    want = Want(ObjectId.of(raw), Compression.NONE, len(raw))
    path = f"/{want.id.path}"
    contents = {path: raw}
    with FaultServer(contents) as first, FaultServer(contents) as second:
        first.always(truncated(2 << 20))
        second.next(path, instead(raw[:-1] + b"x"))
        out = BytesIO()
        remote(client, first.url, second.url).fetch(want, out)
    assert out.getvalue() == raw


def test_an_announced_size_that_is_wrong_fails_after_all_were_asked(
    client: HttpClient, servers: tuple[FaultServer, FaultServer]
) -> None:
    repository = remote(client, *(server.url for server in servers))
    with pytest.raises(ObjectTooLarge):
        repository.fetch(Want(WANT.id, size=len(PLAIN) - 1), BytesIO())
    with pytest.raises(TruncatedObject):
        repository.fetch(Want(WANT.id, size=len(PLAIN) + 1), BytesIO())


def test_a_document_without_end_is_not_read_to_its_end(client: HttpClient) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.head(200, {"Connection": "close"})
        exchange.keep_alive = False
        while True:
            exchange.connection.sendall(bytes(1 << 16))  # until the client hangs up

    with FaultServer({}) as server:
        server.always(endless)
        with pytest.raises(ObjectTooLarge, match="cvmfspublished"):
            remote(client, server.url).read(".cvmfspublished")


def test_names_of_documents_are_escaped(client: HttpClient) -> None:
    with FaultServer({"/.cvmfs%20odd%3Fname%25": b"odd"}) as server:
        assert remote(client, server.url).read(".cvmfs odd?name%") == b"odd"


def test_traffic_is_counted(client: HttpClient, servers: tuple[FaultServer, FaultServer]) -> None:
    repository = remote(client, servers[0].url)
    fetched(repository)
    repository.read(".cvmfspublished")
    assert (repository.traffic.responses, repository.traffic.received_bytes) == (2, len(STORED) + 10)


def test_when_a_server_dies_under_many_requests_the_route_moves_once(client: HttpClient) -> None:
    all_here = threading.Barrier(8, timeout=60)

    def die_together(exchange: Exchange) -> None:
        all_here.wait()
        status(500)(exchange)

    with FaultServer(CONTENTS) as first, FaultServer(CONTENTS) as second, FaultServer(CONTENTS) as third:
        first.always(die_together)
        repository = remote(client, first.url, second.url, third.url)
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: fetched(repository), range(8))) == {PLAIN}
        assert (second.count(PATH), third.count(PATH)) == (8, 0)
        assert repository.routes.current() == Route(second.url)


class TestThroughProxies:
    """The proxies here know only what is at `http://origin`."""

    @pytest.fixture
    def proxies(self) -> Iterator[tuple[FaultServer, FaultServer]]:
        contents = {f"http://origin{path}": data for path, data in CONTENTS.items()}
        with FaultServer(contents) as first, FaultServer(contents) as second:
            yield first, second

    @pytest.mark.parametrize(
        "behaviour",
        [
            reset,
            truncated(9),
            status(407),
            status(403),
            status(503, {"X-Squid-Error": "ERR_CONNECT_FAIL 111"}),
            status(502, {"Proxy-Status": "squid; error=connection_refused"}),
        ],
        ids=["reset", "cut short", "407", "403", "squid error", "proxy status"],
    )
    def test_another_proxy_stands_in(
        self, client: HttpClient, proxies: tuple[FaultServer, FaultServer], behaviour: object
    ) -> None:
        first, second = proxies
        first.always(behaviour)
        repository = remote(client, "http://origin", proxies=((first.url, second.url),))
        assert fetched(repository) == PLAIN
        assert repository.routes.current() == Route("http://origin", second.url)

    @pytest.mark.parametrize("behaviour", [status(500), status(400), status(404)], ids=["500", "400", "404"])
    def test_what_the_server_said_does_not_speak_against_the_proxy(
        self, client: HttpClient, proxies: tuple[FaultServer, FaultServer], behaviour: object
    ) -> None:
        first, second = proxies
        first.next(f"http://bad{PATH}", behaviour)
        repository = remote(client, "http://bad", "http://origin", proxies=((first.url, second.url),))
        assert fetched(repository) == PLAIN
        assert repository.routes.current() == Route("http://origin", first.url)
        assert second.requests == []

    def test_a_damaged_copy_in_a_proxy_is_passed_by(
        self, client: HttpClient, proxies: tuple[FaultServer, FaultServer]
    ) -> None:
        damaged = instead(flipped(STORED, 5))

        def cached(exchange: Exchange) -> None:
            (truth if exchange.asked.headers.get("cache-control") == "no-cache" else damaged)(exchange)

        proxies[0].always(cached)
        repository = remote(client, "http://origin", proxies=((proxies[0].url,),))
        assert fetched(repository) == PLAIN
        assert proxies[0].count(f"http://origin{PATH}") == 2

    def test_the_last_group_may_be_no_proxy_at_all(self, client: HttpClient) -> None:
        with refusing() as proxy, FaultServer(CONTENTS) as server:
            repository = remote(client, server.url, proxies=((proxy,), (None,)))
            assert fetched(repository) == PLAIN
            assert repository.routes.current() == Route(server.url, None)


class Vanishing:
    """Connections that were there before `vanish` swallow every request from then on; new ones are answered."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self._dead: set[tuple[str, int]] = set()

    def vanish(self) -> None:
        self._dead = set(self._seen)

    def __call__(self, exchange: Exchange) -> None:
        connection = exchange.connection.getpeername()
        self._seen.add(connection)
        (silent if connection in self._dead else truth)(exchange)


def test_connections_that_died_silently_are_all_left_after_one_time_out() -> None:
    vanishing = Vanishing()
    client = HttpClient(timeouts=Timeouts(direct=2.0))
    with FaultServer(CONTENTS) as server, ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        stack.callback(client.close)
        server.always(vanishing)
        together = threading.Barrier(8)

        def fetch(_number: int) -> bytes:
            together.wait(30)
            return fetched(repository)

        repository = remote(client, server.url)
        assert set(pool.map(fetch, range(8))) == {PLAIN}
        vanishing.vanish()
        assert fetched(repository) == PLAIN, "after the time-out, over a new connection"
        opened, asked = server.connections, len(server.requests)
        assert fetched(repository) == PLAIN
        assert (server.connections, len(server.requests)) == (opened, asked + 1), "at once, over the new one"


def test_a_walk_over_servers_that_are_silent_ends_with_its_time_limit() -> None:
    clock = iter(float(15 * number) for number in range(100))  # looked at twice for each try
    with ExitStack() as stack:
        servers = [stack.enter_context(FaultServer(CONTENTS)) for _ in range(6)]
        for server in servers:
            server.always(reset)
        client = HttpClient()
        stack.callback(client.close)
        routes = Routes([server.url for server in servers])
        repository = RemoteRepository(routes, client, patience=Patience(0, limit=60.0), clock=lambda: next(clock))
        with pytest.raises(Unreachable, match="nothing was heard for 75 seconds"):
            fetched(repository)
        assert [len(server.requests) for server in servers] == [1, 1, 0, 0, 0, 0]


def test_with_patience_for_ever_it_begins_again_when_every_way_has_failed(
    client: HttpClient, servers: tuple[FaultServer, FaultServer], expected_warnings: Callable[..., None]
) -> None:
    expected_warnings("trying again")
    servers[0].next(PATH, status(503), status(503), status(503))
    pauses = Pauses()
    patience = Patience(0, longest_pause=7.0, for_ever=True)
    assert fetched(RemoteRepository(Routes([servers[0].url]), client, patience=patience, pause=pauses)) == PLAIN
    assert pauses.seconds == [7.0] * 3


def test_connections_that_were_closed_leave_nothing_behind() -> None:
    with FaultServer(CONTENTS) as server, refusing() as nobody:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            network = NetworkParameters(geo=True, names=NameParameters(server="127.0.0.1:9", timeout=0.01))
            chain = Chain((nobody, server.url), max_retries=0)
            connection = Connection(chain, network)
            assert connection.repository.read(".cvmfspublished") == b"a manifest"
            connection.close()
    gc.collect()
    deadline = time.monotonic() + 30
    while threading.active_count() > 1 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("routes", "names", "swrepo-net")]
