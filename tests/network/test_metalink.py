"""Servers that another server tells, in `Link:` headers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from swrepo.config.files import Setting
from swrepo.config.network import NetworkParameters, ServerParameters
from swrepo.config.parameters import interpret
from swrepo.net.connect import Chain, Connection
from swrepo.net.metalink import linked
from tests.faults import FaultServer, refusing, status

MANIFEST = ".cvmfspublished"


@pytest.mark.parametrize(
    ("header", "servers"),
    [
        ("", ()),
        (f"<http://a/x/{MANIFEST}>; rel=duplicate", ("http://a/x",)),
        (
            '<http://c/x>; rel=duplicate, <http://b/x>; rel="duplicate"; pri=2; geo=ch, <https://a/x>; pri=1; rel=duplicate',
            ("https://a/x", "http://b/x", "http://c/x"),
        ),
        ("<http://a/x.torrent>; rel=describedby, <ftp://a/x>; rel=duplicate", ()),
        ("<<>>;;,<", ()),
    ],
)
def test_links_to_duplicates_are_servers_in_the_order_of_their_priority(header: str, servers: tuple[str, ...]) -> None:
    assert linked(header) == servers


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connection(stack: ExitStack, servers: tuple[str, ...], *metalinks: str, holds: float = 1800.0) -> Connection:
    network = NetworkParameters(servers=ServerParameters(servers, metalinks=metalinks), metalink_reset=holds)
    found = Connection(Chain(network.server_urls, max_retries=0), network)
    stack.callback(found.close)
    return found


def telling(stack: ExitStack, *servers: str) -> FaultServer:
    found = stack.enter_context(FaultServer({}))
    links = ", ".join(f"<{server}/{MANIFEST}>; rel=duplicate" for server in servers)
    found.always(status(302, {"Link": links, "Location": f"{servers[0]}/{MANIFEST}"}))
    return found


def test_they_come_before_those_that_are_configured(stack: ExitStack) -> None:
    told = stack.enter_context(FaultServer({f"/{MANIFEST}": b"content"}))
    nobody = stack.enter_context(refusing())
    metalink = telling(stack, told.url)
    found = connection(stack, ("http://configured",), nobody, metalink.url)
    assert found.repository.routes.servers == (told.url, "http://configured")
    assert found.repository.read(MANIFEST) == b"content"


def test_they_suffice(stack: ExitStack) -> None:
    told = stack.enter_context(FaultServer({f"/{MANIFEST}": b"content"}))
    metalink = telling(stack, told.url)
    settings = {"CVMFS_METALINK_URL": Setting(metalink.url, "f:1")}
    assert interpret(settings).server_urls == (metalink.url,)
    assert connection(stack, (), metalink.url).repository.read(MANIFEST) == b"content"


def test_without_an_answer_those_that_are_configured_are_used(stack: ExitStack) -> None:
    nobody = stack.enter_context(refusing())
    assert connection(stack, ("http://configured",), nobody).repository.routes.servers == ("http://configured",)


def test_they_are_asked_again_after_a_while(stack: ExitStack) -> None:
    first, second = (stack.enter_context(FaultServer({f"/{MANIFEST}": b"content"})) for _ in range(2))
    metalink = telling(stack, first.url)
    found = connection(stack, (), metalink.url, holds=0.0)
    links = status(200, {"Link": f"<{second.url}/{MANIFEST}>; rel=duplicate"})
    metalink.always(links)
    for _ in range(1000):
        assert found.repository.read(MANIFEST) == b"content"
        if found.repository.routes.servers[0] == second.url:
            return
        threading.Event().wait(0.01)
    pytest.fail("the new server was not used")
