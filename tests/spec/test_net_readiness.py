"""What the network thread sleeps on: real sockets, the bell, and libcurl's numbers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pycurl
import pytest

from swrepo.net.epoll import EpollReadiness
from swrepo.net.readiness import Readiness
from swrepo.net.selecting import SelectorReadiness


@pytest.fixture(params=[EpollReadiness, SelectorReadiness])
def readiness(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    found = request.param()
    yield found
    found.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_bell_ends_the_wait_however_often_it_rang(readiness: Readiness) -> None:
    for _ in range(100_000):  # more than any buffer holds
        readiness.ring()
    assert readiness.wait(60) == []


def test_a_socket_is_ready_for_what_was_wished(readiness: Readiness, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno(), pycurl.POLL_IN)
    assert readiness.wait(0) == []
    theirs.send(b"x")
    assert readiness.wait(60) == [(ours.fileno(), pycurl.CSELECT_IN)]
    readiness.watch(ours.fileno(), pycurl.POLL_OUT)
    assert readiness.wait(60) == [(ours.fileno(), pycurl.CSELECT_OUT)]
    readiness.watch(ours.fileno(), pycurl.POLL_INOUT)
    assert readiness.wait(60) == [(ours.fileno(), pycurl.CSELECT_IN | pycurl.CSELECT_OUT)]
    readiness.watch(ours.fileno(), pycurl.POLL_REMOVE)
    assert readiness.wait(0) == []


def test_the_end_of_a_connection_is_ready_to_be_read(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(ours.fileno(), pycurl.POLL_IN)
    theirs.close()
    ((descriptor, events),) = readiness.wait(60)
    assert (descriptor, events & pycurl.CSELECT_IN) == (ours.fileno(), pycurl.CSELECT_IN)


def test_letting_go_of_what_is_closed_or_was_never_watched_is_harmless(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    readiness.watch(theirs.fileno(), pycurl.POLL_REMOVE)
    number = ours.fileno()
    readiness.watch(number, pycurl.POLL_IN)
    ours.close()
    readiness.watch(number, pycurl.POLL_REMOVE)
    assert readiness.wait(0) == []


def test_a_number_that_comes_back_for_another_socket_is_watched(
    readiness: Readiness, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    first, _other = socket.socketpair()
    with _other:
        number = first.detach()
        readiness.watch(number, pycurl.POLL_IN)
        os.close(number)
        os.dup2(ours.fileno(), number)
        readiness.watch(number, pycurl.POLL_IN)
        theirs.send(b"x")
        assert readiness.wait(60) == [(number, pycurl.CSELECT_IN)]
        readiness.watch(number, pycurl.POLL_REMOVE)
        os.close(number)
