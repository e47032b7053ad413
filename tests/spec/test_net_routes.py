"""Fail-over as a state machine: which route is used, and what one request tries, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import ConfigError
from swrepo.net.faults import Fault
from swrepo.net.routes import DIRECT, ProxyGroups, Route, Routes, parse_proxies
from swrepo.net.walk import Step, Walk

A, B, C = "http://a/cvmfs/x", "http://b/cvmfs/x", "http://c/cvmfs/x"
P, Q, R = "http://p:3128", "http://q:3128", "http://r:3128"

SERVER_FAULTS = [Fault.SERVER_NAME, Fault.SERVER_ANSWER, Fault.CORRUPT, Fault.UNUSABLE, Fault.BUSY]
PROXY_FAULTS = [Fault.PROXY_NAME, Fault.PROXY_ANSWER, Fault.BROKEN]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def first(candidates: Sequence[str | None]) -> str | None:
    return candidates[0]


def routes(*servers: str, proxies: ProxyGroups = DIRECT, clock: Clock | None = None) -> Routes:
    return Routes(servers, proxies, clock=clock or Clock(), pick=first)


class TestReadingProxies:
    @pytest.mark.parametrize(
        ("text", "groups"),
        [
            ("DIRECT", ((None,),)),
            ("http://p:3128", ((P,),)),
            ("p:3128", ((P,),)),
            ("http://p:3128|http://q:3128;http://r:3128;DIRECT", ((P, Q), (R,), (None,))),
            (" http://p:3128 | http://q:3128 ; direct ", ((P, Q), (None,))),
            (";;http://p:3128;;", ((P,),)),
        ],
    )
    def test_groups_are_in_order_and_space_does_not_matter(self, text: str, groups: ProxyGroups) -> None:
        assert parse_proxies(text) == groups

    @pytest.mark.parametrize("text", ["", " ; | "])
    def test_nothing_to_use_is_an_error_that_says_what_to_write(self, text: str) -> None:
        with pytest.raises(ConfigError, match="DIRECT"):
            parse_proxies(text)

    @given(st.text(alphabet="ab:;| DIRECT/3", max_size=40))
    def test_any_text_gives_groups_or_an_error(self, text: str) -> None:
        try:
            groups = parse_proxies(text)
        except ConfigError:
            return
        assert groups
        assert all(groups)


class TestServers:
    def test_the_first_is_used_until_it_fails(self) -> None:
        found = routes(A, B)
        assert found.current() == Route(A)
        found.failed(Route(A), Fault.SERVER_ANSWER)
        assert found.current() == Route(B)

    @pytest.mark.parametrize("fault", [*SERVER_FAULTS, Fault.BROKEN])
    def test_each_fault_of_a_server_leads_to_the_next(self, fault: Fault) -> None:
        found = routes(A, B)
        found.failed(Route(A), fault)
        assert found.current() == Route(B)

    @pytest.mark.parametrize("fault", [Fault.MISSING, Fault.CANCELLED])
    def test_an_object_that_a_server_lacks_changes_nothing(self, fault: Fault) -> None:
        found = routes(A, B)
        found.failed(Route(A), fault)
        assert found.current() == Route(A)

    def test_after_the_last_comes_the_first(self) -> None:
        found = routes(A, B)
        for server in (A, B):
            found.failed(Route(server), Fault.BROKEN)
        assert found.current() == Route(A)

    def test_many_that_report_the_same_failure_move_one_step(self) -> None:
        found = routes(A, B, C)
        for _ in range(10):
            found.failed(Route(A), Fault.BROKEN)
        assert found.current() == Route(B)

    def test_the_first_is_tried_again_after_half_an_hour(self) -> None:
        clock = Clock()
        found = routes(A, B, clock=clock)
        found.failed(Route(A), Fault.BROKEN)
        clock.now += 1799
        assert found.current() == Route(B)
        clock.now += 1
        assert found.current() == Route(A)

    def test_a_server_that_is_behind_is_left_once_another_had_the_object(self) -> None:
        found = routes(A, B, C)
        found.had_it(Route(B), {A})
        assert found.current() == Route(B)

    def test_a_server_that_has_it_is_kept(self) -> None:
        found = routes(A, B)
        found.had_it(Route(A), {B})
        assert found.current() == Route(A)

    def test_a_server_whose_documents_are_not_to_be_trusted_is_left(self) -> None:
        found = routes(A, B)
        assert found.next_server(A)
        assert found.current() == Route(B)
        assert found.next_server(A), "somebody else left it before"
        assert found.current() == Route(B)
        assert not routes(A).next_server(A)

    def test_slashes_at_the_end_do_not_matter(self) -> None:
        assert routes(A + "/").current() == Route(A)

    @pytest.mark.parametrize(("servers", "proxies"), [((), DIRECT), ((A,), ()), ((A,), ((),))])
    def test_without_any_server_or_proxy_there_is_no_route(
        self, servers: tuple[str, ...], proxies: ProxyGroups
    ) -> None:
        with pytest.raises(ConfigError):
            Routes(servers, proxies)


class TestProxies:
    @pytest.mark.parametrize("fault", PROXY_FAULTS)
    def test_the_next_of_the_group_follows(self, fault: Fault) -> None:
        found = routes(A, proxies=((P, Q), (R,)))
        found.failed(Route(A, P), fault)
        assert found.current() == Route(A, Q)

    @pytest.mark.parametrize("fault", SERVER_FAULTS)
    def test_a_fault_of_the_server_leaves_the_proxy(self, fault: Fault) -> None:
        found = routes(A, B, proxies=((P, Q),))
        found.failed(Route(A, P), fault)
        assert found.current() == Route(B, P)

    def test_the_next_group_is_used_when_a_whole_one_has_failed(self) -> None:
        found = routes(A, proxies=((P, Q), (None,)))
        for proxy in (P, Q):
            found.failed(Route(A, proxy), Fault.BROKEN)
        assert found.current() == Route(A, None)

    def test_when_all_have_failed_it_may_be_the_server(self) -> None:
        found = routes(A, B, proxies=((P,), (Q,)))
        for proxy in (P, Q):
            found.failed(Route(A, proxy), Fault.BROKEN)
        assert found.current() == Route(B, P)

    def test_the_first_group_is_tried_again_after_five_minutes(self) -> None:
        clock = Clock()
        found = routes(A, proxies=((P,), (Q,)), clock=clock)
        found.failed(Route(A, P), Fault.BROKEN)
        clock.now += 299
        assert found.current() == Route(A, Q)
        clock.now += 1
        assert found.current() == Route(A, P)

    def test_the_load_is_spread_by_chance(self) -> None:
        asked: list[Sequence[str | None]] = []

        def last(candidates: Sequence[str | None]) -> str | None:
            asked.append(candidates)
            return candidates[-1]

        found = Routes([A], ((P, Q, R),), pick=last)
        assert found.current() == Route(A, R)
        found.failed(Route(A, R), Fault.BROKEN)
        assert found.current() == Route(A, Q)
        assert [list(candidates) for candidates in asked] == [[P, Q, R], [P, Q]]


def walked(walk: Walk, *faults: Fault) -> list[Step]:
    """The steps that a request makes when its tries fail in these ways, the one after the last included."""
    steps = []
    for number, fault in enumerate(faults):
        step = walk.next()
        assert step is not None
        steps.append(step)
        walk.failed(step, fault, f"try {number}")
    last = walk.next()
    return steps if last is None else [*steps, last]


class TestOneRequest:
    def test_tries_each_server_once_when_all_refuse(self) -> None:
        walk = Walk(routes(A, B, C), max_retries=1)
        faults = [Fault.SERVER_ANSWER] * 3
        assert walked(walk, *faults) == [Step(Route(A)), Step(Route(B)), Step(Route(C))]
        assert walk.tries == ["try 0", "try 1", "try 2"]

    def test_tries_a_broken_route_again_before_it_leaves_it(self) -> None:
        walk = Walk(routes(A, B), max_retries=1)
        assert walked(walk, Fault.BROKEN, Fault.BROKEN) == [
            Step(Route(A)), Step(Route(A), fresh=True), Step(Route(B)),
        ]  # fmt: skip

    def test_pauses_before_the_retry_where_there_is_no_other_route(self) -> None:
        walk = Walk(routes(A), max_retries=2)
        expected = [Step(Route(A)), Step(Route(A), back_off=1, fresh=True), Step(Route(A), back_off=2, fresh=True)]
        assert walked(walk, Fault.BROKEN, Fault.BROKEN, Fault.BROKEN) == expected

    def test_pauses_when_a_server_asks_for_patience(self) -> None:
        walk = Walk(routes(A, B), max_retries=1)
        assert walked(walk, Fault.BUSY, Fault.BUSY) == [Step(Route(A)), Step(Route(A), back_off=1), Step(Route(B))]

    def test_passes_by_the_caches_after_corrupt_bytes_and_then_leaves_the_server(self) -> None:
        walk = Walk(routes(A, B, proxies=((P, Q),)), max_retries=1)
        steps = walked(walk, Fault.CORRUPT, Fault.CORRUPT, Fault.CORRUPT)
        assert steps == [Step(Route(A, P)), Step(Route(A, P), True), Step(Route(B, P)), Step(Route(B, P), True)]

    def test_is_missing_only_where_every_server_lacks_it(self) -> None:
        walk = Walk(routes(A, B), max_retries=0)
        walked(walk, Fault.MISSING)
        assert not walk.is_missing_everywhere
        walk = Walk(routes(A, B), max_retries=0)
        walked(walk, Fault.MISSING, Fault.MISSING)
        assert walk.is_missing_everywhere
        walk = Walk(routes(A, B), max_retries=0)
        walked(walk, Fault.MISSING, Fault.BROKEN)
        assert not walk.is_missing_everywhere

    def test_tells_when_another_server_had_it(self) -> None:
        found = routes(A, B)
        walk = Walk(found, max_retries=0)
        step = walked(walk, Fault.MISSING)[-1]
        assert found.current() == Route(A)
        walk.succeeded(step)
        assert found.current() == Route(B)

    def test_goes_over_every_proxy_before_it_blames_the_server(self) -> None:
        walk = Walk(routes(A, B, proxies=((P,), (None,))), max_retries=0)
        steps = walked(walk, *[Fault.PROXY_ANSWER] * 4)
        assert [step.route for step in steps] == [Route(A, P), Route(A), Route(B, P), Route(B)]

    def test_starts_with_the_route_that_works(self) -> None:
        found = routes(A, B, proxies=((P,), (Q,)))
        found.failed(Route(A, P), Fault.BROKEN)
        found.failed(Route(A, Q), Fault.SERVER_ANSWER)
        assert Walk(found, 0).next() == Step(Route(B, Q))

    @given(
        st.integers(1, 4),
        st.lists(st.lists(st.sampled_from([P, Q, R, None]), min_size=1, max_size=3), min_size=1, max_size=3),
        st.integers(0, 3),
        st.data(),
    )
    def test_always_ends_and_never_repeats_without_a_reason(
        self, servers: int, groups: list[list[str | None]], retries: int, data: st.DataObject
    ) -> None:
        found = routes(*[A, B, C, "http://d"][:servers], proxies=tuple(tuple(group) for group in groups))
        walk = Walk(found, retries)
        count = 0
        while (step := walk.next()) is not None:
            count += 1
            assert count <= 2 * 4 * servers + retries
            walk.failed(step, data.draw(st.sampled_from([f for f in Fault if f is not Fault.CANCELLED])), "a try")
        assert len(walk.tries) == count >= 1


class TestSharding:
    GROUP: ProxyGroups = ((P, Q, R),)
    KEYS = tuple(f"data/{number:02x}/{number:038x}" for number in range(200))

    def sharded(self, proxies: ProxyGroups = GROUP, clock: Clock | None = None) -> Routes:
        return Routes([A, B], proxies, clock=clock or Clock(), pick=first, shard=True)

    def test_each_proxy_of_the_group_gets_a_part(self) -> None:
        chosen = [self.sharded().current(key).proxy for key in self.KEYS]
        assert all(40 < chosen.count(proxy) < 100 for proxy in (P, Q, R))

    def test_every_client_chooses_the_same(self) -> None:
        other = Routes([B], ((R, P, Q),), clock=Clock(), pick=first, shard=True)
        assert all(self.sharded().current(key).proxy == other.current(key).proxy for key in self.KEYS)

    def test_when_one_fails_only_what_it_had_moves_and_it_comes_back(self) -> None:
        clock = Clock()
        found = self.sharded(clock=clock)
        before = {key: found.current(key).proxy for key in self.KEYS}
        found.failed(Route(A, Q), Fault.BROKEN)
        after = {key: found.current(key).proxy for key in self.KEYS}
        assert Q not in after.values()
        assert all(after[key] == proxy for key, proxy in before.items() if proxy != Q)
        clock.now += 300
        assert {key: found.current(key).proxy for key in self.KEYS} == before

    def test_a_request_tries_the_others_of_the_group_and_then_the_next_group(self) -> None:
        found = self.sharded(((P, Q), (R,)))
        walk = Walk(found, 0, key=self.KEYS[0])
        tried = []
        while (step := walk.next()) is not None and step.route.server == A:
            tried.append(step.route.proxy)
            walk.failed(step, Fault.BROKEN, "")
        assert set(tried[:2]) == {P, Q}
        assert tried[2] == R


class TestChangesFromOutside:
    def test_the_proxy_in_use_stays_if_it_is_still_there(self) -> None:
        found = Routes([A], ((P, Q),), clock=Clock(), pick=lambda group: group[-1])
        found.set_proxies(((R, Q, P), (None,)))
        assert found.current() == Route(A, Q)
        found.set_proxies(((R,),))
        assert found.current() == Route(A, R)

    def test_what_failed_before_is_left_out_afterwards(self) -> None:
        found = routes(A, proxies=((P, Q),))
        found.failed(Route(A, P), Fault.BROKEN)
        found.set_proxies(((P, Q, R),))
        assert found.current() == Route(A, Q)

    def test_servers_in_another_order_begin_with_the_first(self) -> None:
        found = routes(A, B)
        found.failed(Route(A), Fault.BROKEN)
        found.set_servers([C, A])
        assert found.current() == Route(C)

    def test_a_route_that_others_left_is_not_tried_again(self) -> None:
        found = routes(A, B)
        walk = Walk(found, 1)
        step = walk.next()
        assert step is not None
        found.failed(Route(A), Fault.BROKEN)
        walk.failed(step, Fault.BROKEN, "")
        assert walk.next() == Step(Route(B))


class TestAddresses:
    def test_each_of_the_servers_is_tried_before_the_next_server(self) -> None:
        walk = Walk(routes(A, B), 0)
        step = walk.next()
        tried = []
        while step is not None and step.route.server == A:
            tried.append(step.route.address)
            walk.failed(step, Fault.BROKEN, "", (step.route.address or "1", "1", "2", "3"))
            step = walk.next()
        assert tried == [None, "2", "3"]

    def test_the_one_that_answered_is_used_for_a_while(self) -> None:
        clock = Clock()
        found = routes(A, clock=clock)
        found.reached(A, "2")
        assert found.current() == Route(A, None, "2")
        clock.now += 300
        assert found.current() == Route(A)

    def test_the_one_that_fails_later_is_left(self) -> None:
        found = routes(A)
        found.reached(A, "2")
        walk = Walk(found, 0)
        step = walk.next()
        assert step == Step(Route(A, None, "2"))
        walk.failed(step, Fault.BROKEN, "", ("2", "1"))
        assert walk.next() == Step(Route(A, None, "1"), fresh=True)
        assert found.current() == Route(A)
