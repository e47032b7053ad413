"""Servers in the order of their distance: as a server says, or measured; asked beside what anybody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from swrepo.config.network import NetworkParameters, ServerParameters
from swrepo.net.connect import Chain, Connection
from swrepo.net.http import Timeouts
from swrepo.net.routes import DIRECT, ProxyGroups
from tests.faults import Behaviour, Exchange, FaultServer, held, instead, silent, status

MANIFEST = "/.cvmfspublished"
NAMES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


def geo(answer: bytes) -> Behaviour:
    """That answer to questions about distance."""

    def behave(exchange: Exchange) -> None:
        (instead(answer) if "/geo/" in exchange.asked.target else instead(b"content"))(exchange)

    return behave


def nothing_about_distances(exchange: Exchange) -> None:
    (status(404) if "/geo/" in exchange.asked.target else instead(b"content"))(exchange)


def questions(servers: Sequence[FaultServer]) -> list[str]:
    return [asked.target for server in servers for asked in server.requests if "/geo/" in asked.target]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def servers(stack: ExitStack) -> list[FaultServer]:
    return [stack.enter_context(FaultServer({MANIFEST: b"content"}, name)) for name in NAMES]


Connect = Callable[..., Connection]


@pytest.fixture
def connect(stack: ExitStack, servers: list[FaultServer]) -> Connect:
    def connected(
        proxies: ProxyGroups = DIRECT, fallback: str = "", most: int | None = None, template: str | None = None
    ) -> Connection:
        network = NetworkParameters(
            servers=ServerParameters(fallback=fallback, most=most), geo=True, proxy_template=template
        )
        chain = Chain(tuple(server.url for server in servers), proxies, Timeouts(1.0, 1.0), 0)
        found = Connection(chain, network)
        stack.callback(found.close)
        return found

    return connected


def until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(2000):
        if is_so():
            return
        pause.wait(0.005)
    pytest.fail("it did not come about")


def test_the_order_is_what_a_server_says(servers: list[FaultServer], connect: Connect) -> None:
    for server in servers:
        server.always(geo(b"3,1,2\n"))
    found = connect(template="my-site")
    assert found.repository.read(".cvmfspublished") == b"content"
    near = tuple(servers[index].url for index in (2, 0, 1))
    until(lambda: found.repository.routes.servers == near)
    assert questions(servers) == ["/api/v1.0/geo/my-site/127.0.0.2,127.0.0.3,127.0.0.4"]
    assert found.upkeep.questions == 1


def test_nobody_waits_for_it(servers: list[FaultServer], connect: Connect) -> None:
    answered = threading.Event()

    def late(exchange: Exchange) -> None:
        (held(answered) if "/geo/" in exchange.asked.target else instead(b"content"))(exchange)

    for server in servers:
        server.always(late)
    assert connect().repository.read(".cvmfspublished") == b"content"
    until(lambda: questions(servers) != [])
    answered.set()


def test_it_is_asked_for_once(servers: list[FaultServer], connect: Connect) -> None:
    for server in servers:
        server.always(geo(b"1,3,2"))
    found = connect()
    for _ in range(20):
        found.repository.read(".cvmfspublished")
    until(lambda: found.upkeep.questions > 0)
    found.repository.read(".cvmfspublished")
    assert len(questions(servers)) == 1


@pytest.mark.parametrize("answer", [b"", b"Bad", b"1,2", b"1,2,2", b"0,1,2", b"1,2,3,4"])
def test_an_answer_that_is_no_order_is_not_one(servers: list[FaultServer], connect: Connect, answer: bytes) -> None:
    for server in servers:
        server.always(geo(answer))
    found = connect()
    found.repository.read(".cvmfspublished")
    until(lambda: found.upkeep.questions > 0)
    assert len(questions(servers)) == 3, "three servers are asked, then it is measured"
    assert sorted(found.repository.routes.servers) == sorted(server.url for server in servers)


def test_only_the_nearest_are_used(servers: list[FaultServer], connect: Connect) -> None:
    for server in servers:
        server.always(geo(b"3,1,2"))
    found = connect(most=1)
    assert len(found.repository.routes.servers) == 1
    found.repository.read(".cvmfspublished")
    until(lambda: found.repository.routes.servers == (servers[2].url,))


def test_without_an_answer_round_trips_are_measured(servers: list[FaultServer], connect: Connect) -> None:
    servers[0].always(silent)
    servers[1].always(nothing_about_distances)
    servers[2].always(nothing_about_distances)
    found = connect()
    found.repository.read(".cvmfspublished")
    until(lambda: found.upkeep.questions > 0)
    assert found.repository.routes.servers[-1] == servers[0].url, "who does not answer is far away"


def test_through_proxies_caches_are_passed_by(stack: ExitStack, servers: list[FaultServer], connect: Connect) -> None:
    proxy = stack.enter_context(FaultServer({}))
    proxy.always(nothing_about_distances)
    found = connect(((proxy.url,),))
    found.repository.read(".cvmfspublished")
    until(lambda: found.upkeep.questions > 0)
    measured = [asked for asked in proxy.requests if asked.headers.get("cache-control") == "no-cache"]
    assert len(measured) == 2 * len(servers)
    assert not any(server.requests for server in servers)


def test_proxies_to_fall_back_on_are_ordered_too(
    stack: ExitStack, servers: list[FaultServer], connect: Connect
) -> None:
    proxy = stack.enter_context(FaultServer({}))
    proxy.always(geo(b"2,1,3,6,5,4"))
    found = connect(((proxy.url,),), fallback="http://127.0.0.8:1|http://127.0.0.9:1")
    found.repository.read(".cvmfspublished")
    until(lambda: found.upkeep.questions > 0)
    until(lambda: found.repository.routes.proxies == ((proxy.url,), ("http://127.0.0.9:1",), ("http://127.0.0.8:1",)))
    asked = next(asked.target for asked in proxy.requests if "/geo/" in asked.target)
    assert asked.endswith("/api/v1.0/geo/127.0.0.1/127.0.0.2,127.0.0.3,127.0.0.4,+PXYSEP+,127.0.0.8,127.0.0.9")


def test_servers_keep_their_order_unless_it_is_wanted(servers: list[FaultServer]) -> None:
    connection = Connection(Chain(tuple(server.url for server in servers)), NetworkParameters())
    connection.repository.read(".cvmfspublished")
    connection.close()
    assert questions(servers) == []
    assert connection.upkeep.questions == 0
