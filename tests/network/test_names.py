"""Names of servers and proxies: who is asked, how long an answer holds, and that each address is tried."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from swrepo.config.network import NameParameters, NetworkParameters
from swrepo.errors import ConfigError, Unreachable
from swrepo.net.connect import Chain, Connection
from swrepo.net.dns import Found, NoAnswer, look_up, server_address
from swrepo.net.http import Timeouts
from swrepo.net.names import Names
from swrepo.net.routes import DIRECT, ProxyGroups
from tests.faults import FaultServer, refusing, reset, silent
from tests.network.name_server import AAAA, A, NameServer, name_server

PROXIES = {"proxies.example.org": ("127.0.0.3", "127.0.0.2"), "both.example.org": ("127.0.0.2", "::1")}


@pytest.fixture
def server() -> Iterator[NameServer]:
    with name_server(PROXIES) as found:
        yield found


def options(server: NameServer, **changes: object) -> NameParameters:
    return replace(NameParameters(server=server.address, timeout=1.0), **changes)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestAskingANameServer:
    def asked(self, server: NameServer, name: str, families: tuple[int, ...] = (4, 6), retries: int = 1) -> Found:
        return look_up(name, ("127.0.0.1", server.port), 1.0, retries, families)

    def test_addresses_of_both_versions_come_with_the_time_they_hold(self, server: NameServer) -> None:
        assert self.asked(server, "both.example.org") == Found(("127.0.0.2", "::1"), 300)
        assert [kind for _, kind in server.asked] == [A, AAAA]

    def test_an_alias_leads_to_the_addresses(self, server: NameServer) -> None:
        server.aliases["alias.example.org"] = "proxies.example.org"
        assert self.asked(server, "alias.example.org", (4,)).addresses == PROXIES["proxies.example.org"]

    def test_a_long_answer_is_fetched_whole(self, server: NameServer) -> None:
        server.cut_off = True
        assert self.asked(server, "proxies.example.org", (4,)).addresses == PROXIES["proxies.example.org"]

    def test_a_lost_question_is_asked_again(self, server: NameServer) -> None:
        server.silent = 1
        found = look_up("proxies.example.org", ("127.0.0.1", server.port), 0.1, 1, (4,))
        assert found.addresses == PROXIES["proxies.example.org"]

    def test_a_name_that_does_not_exist_has_no_addresses(self, server: NameServer) -> None:
        assert self.asked(server, "nobody.example.org").addresses == ()

    def test_a_refusal_and_silence_are_no_answers(self, server: NameServer) -> None:
        server.refuses = True
        with pytest.raises(NoAnswer, match="refuses"):
            self.asked(server, "proxies.example.org")
        server.silent = 100
        with pytest.raises(NoAnswer, match="does not answer"):
            look_up("proxies.example.org", ("127.0.0.1", server.port), 0.05, 1, (4,))

    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("10.0.0.1", ("10.0.0.1", 53)),
            ("10.0.0.1:54", ("10.0.0.1", 54)),
            ("::1", ("::1", 53)),
            ("[::1]:54", ("::1", 54)),
        ],
    )
    def test_its_address_may_have_a_port(self, text: str, address: tuple[str, int]) -> None:
        assert server_address(text) == address

    @pytest.mark.parametrize("text", ["dns.example.org", "10.0.0.1:x", "[::1"])
    def test_anything_else_is_an_error(self, text: str) -> None:
        with pytest.raises(ConfigError, match="CVMFS_DNS_SERVER"):
            server_address(text)


class TestHowLongAnAnswerHolds:
    @pytest.mark.parametrize(("ttl", "holds"), [(5, 60.0), (300, 300.0), (10**6, 86400.0)])
    def test_as_long_as_it_says_within_bounds(self, ttl: int, holds: float) -> None:
        clock, asked = Clock(), []

        def lookup(host: str) -> Found:
            asked.append(host)
            return Found(("10.0.0.1",), ttl)

        names = Names(lookup=lookup, clock=clock)
        assert names.addresses("h") == ("10.0.0.1",)
        clock.now = holds - 1
        assert names.addresses("h") == ("10.0.0.1",)
        assert asked == ["h"]
        assert names.until == float("inf"), "a server's name is looked up when it is needed"
        names.spread((("http://h:3128",),))
        assert names.until == holds, "a proxy's name is kept up to date"

    def test_the_old_one_serves_while_a_new_one_is_looked_up(self) -> None:
        clock, go_on, answers = Clock(), threading.Event(), iter(["10.0.0.1", "10.0.0.2"])
        go_on.set()

        def lookup(_host: str) -> Found:
            assert go_on.wait(20)
            return Found((next(answers),), 60)

        names = Names(lookup=lookup, clock=clock)
        assert names.addresses("h") == ("10.0.0.1",)
        clock.now = 61
        go_on.clear()
        assert names.addresses("h") == ("10.0.0.1",)
        go_on.set()
        while names.addresses("h") != ("10.0.0.2",):
            threading.Event().wait(0.01)

    def test_a_name_that_is_gone_keeps_its_last_addresses(self) -> None:
        clock, found = Clock(), [Found(("10.0.0.1",), 60)]
        names = Names(lookup=lambda _host: found.pop() if found else Found((), 0), clock=clock)
        assert names.addresses("h") == ("10.0.0.1",)
        clock.now = 61
        names.spread((("http://h:3128",),))
        while names.until < 100:
            threading.Event().wait(0.01)
        assert names.addresses("h") == ("10.0.0.1",)

    def test_literals_are_not_looked_up(self) -> None:
        names = Names(lookup=lambda _host: pytest.fail("looked up"))
        assert names.addresses("::1") == ("::1",)


class TestProxies:
    def spread(self, server: NameServer, groups: ProxyGroups, **changes: object) -> ProxyGroups:
        return Names(options(server, **changes)).spread(groups)

    def test_one_with_several_addresses_becomes_several_of_the_same_group(self, server: NameServer) -> None:
        groups = (("http://proxies.example.org:3128", "http://10.0.0.1:3128"), (None,))
        spread = ("http://127.0.0.2:3128", "http://127.0.0.3:3128", "http://10.0.0.1:3128")
        assert self.spread(server, groups) == (spread, (None,))

    def test_only_so_many_addresses_are_used(self, server: NameServer) -> None:
        ((one,),) = self.spread(server, (("http://proxies.example.org:3128",),), most=1)
        assert one in ("http://127.0.0.2:3128", "http://127.0.0.3:3128")

    @pytest.mark.parametrize(("family", "address"), [(4, "127.0.0.2"), (6, "[::1]")])
    def test_of_two_versions_the_preferred_one_is_used(self, server: NameServer, family: int, address: str) -> None:
        assert self.spread(server, (("http://both.example.org:3128",),), family=family) == (
            (f"http://{address}:3128",),
        )

    def test_a_name_without_addresses_is_left_to_whoever_uses_it(self, server: NameServer) -> None:
        groups = (("http://nobody.example.org:3128", "https://both.example.org:3129"),)
        assert self.spread(server, groups) == groups


class TestEachAddressIsTried:
    @pytest.fixture
    def stack(self) -> Iterator[ExitStack]:
        with ExitStack() as stack:
            yield stack

    def connection(self, stack: ExitStack, names: NameServer, server: str, proxies: ProxyGroups = DIRECT) -> Connection:
        network = NetworkParameters(names=options(names), back_off_first=0.01)
        found = Connection(Chain((server,), proxies, Timeouts(1.0, 1.0), 0), network)
        stack.callback(found.close)
        return found

    def at_two_addresses(self, stack: ExitStack) -> tuple[FaultServer, FaultServer]:
        first = stack.enter_context(FaultServer({"/x": b"content"}, "127.0.0.2"))
        second = stack.enter_context(FaultServer({"/x": b"content"}, "127.0.0.3", first.address[1]))
        return first, second

    @pytest.mark.parametrize("behaviour", [reset, silent])
    @pytest.mark.parametrize("number", [0, 1])
    def test_of_a_server_that_answers_at_one_only(
        self, stack: ExitStack, server: NameServer, behaviour: object, number: int
    ) -> None:
        servers = self.at_two_addresses(stack)
        servers[number].always(behaviour)
        found = self.connection(stack, server, f"http://proxies.example.org:{servers[0].address[1]}")
        for _ in range(3):
            assert found.repository.read("x") == b"content"
        assert servers[number].count("/x") <= 1, "the address that answered is kept"
        assert servers[1 - number].requests[0].headers["host"].startswith("proxies.example.org")

    def test_of_a_server_at_which_nobody_listens_at_one(self, stack: ExitStack, server: NameServer) -> None:
        second = stack.enter_context(FaultServer({"/x": b"content"}, "127.0.0.2"))
        found = self.connection(stack, server, f"http://proxies.example.org:{second.address[1]}")
        assert found.repository.read("x") == b"content"

    @pytest.mark.parametrize("number", [0, 1])
    def test_of_a_proxy(self, stack: ExitStack, server: NameServer, number: int) -> None:
        proxies = self.at_two_addresses(stack)
        for proxy in proxies:
            proxy.next("http://s/x")
        proxies[number].always(silent)
        stack.enter_context(refusing())
        at = f"http://proxies.example.org:{proxies[0].address[1]}"
        found = self.connection(stack, server, "http://s", ((at,),))
        contents = {"http://s/x": b"content"}
        for proxy in proxies:
            proxy._look_up = contents.get
        assert found.repository.read("x") == b"content"

    def test_a_server_with_an_unknown_name_is_left(self, stack: ExitStack, server: NameServer) -> None:
        found = self.connection(stack, server, "http://nobody.example.org")
        with pytest.raises(Unreachable, match="knows no address"):
            found.repository.read("x")

    def test_of_version_6(self, stack: ExitStack, server: NameServer) -> None:
        try:
            listening = stack.enter_context(FaultServer({"/x": b"content"}, "::1"))
        except OSError:
            pytest.skip("this machine has no IPv6")
        for host in ("[::1]", "both.example.org"):
            found = self.connection(stack, server, f"http://{host}:{listening.address[1]}")
            assert found.repository.read("x") == b"content"
