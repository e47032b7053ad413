"""What is fetched before it is asked for, as the policy decides it: no threads, no files, only who opened what."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead import FIRST_CREDIT, MOST_CREDIT, WINDOW, Ahead, Nearby
from swrepo.mount.ahead_account import Account
from swrepo.objects.store import Want
from tests.trees import MemoryObjects

SMALL = 3000


class Line:
    """A tree whose files are numbers, walked in their order; `closed_from`: not known yet from there on."""

    def __init__(self, count: int, size: int = SMALL) -> None:
        self.count = count
        self.closed_from = count
        self.size = size
        self.looked = 0
        self.objects = MemoryObjects()

    def walk_from(self, number: int) -> Line.Walk:
        self.looked += 1
        return Line.Walk(self, number)

    def file(self, number: int) -> Nearby:
        return Nearby(number, Want(ObjectId.of(b"%d" % number), size=self.size), self.objects)  # type: ignore[arg-type]

    class Walk:
        def __init__(self, line: Line, number: int) -> None:
            self.line = line
            self.next = number + 1

        def take(self, count: int) -> list[Nearby]:
            end = min(self.next + count, self.line.count, self.line.closed_from)
            found = [self.line.file(number) for number in range(self.next, end)]
            self.next = max(self.next, end)
            return found


class Reader:
    """Opens files, with everything that was fetched in a cache; `misses` had to be waited for."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.ahead = Ahead(line.walk_from, Account(FIRST_CREDIT, MOST_CREDIT))
        self.cache: set[int] = set()
        self.fetched_ahead: list[int] = []
        self.misses = 0
        self.opened: set[int] = set()

    def open(self, number: int) -> list[int]:
        """What is fetched ahead thereupon."""
        here = number in self.cache
        self.misses += not here
        self.cache.add(number)
        self.opened.add(number)
        files = self.ahead.opened(number) if self.ahead.expects(number) or not here else []
        chosen = [file.number for file in files]
        for already in self.cache.intersection(chosen):
            self.ahead.was_here(already)
        self.cache.update(chosen)
        self.fetched_ahead += chosen
        return chosen

    def read(self, numbers: Iterable[int]) -> Reader:
        for number in numbers:
            self.open(number)
        return self

    @property
    def in_vain(self) -> int:
        return len(set(self.fetched_ahead) - self.opened)


def test_one_file_is_no_walk_and_two_in_order_are() -> None:
    reader = Reader(Line(1000))
    assert reader.open(10) == []
    assert reader.open(11) == [12, 13, 14, 15]


def test_files_far_apart_are_no_walk() -> None:
    reader = Reader(Line(10_000)).read(range(0, 10_000, 100))
    assert reader.fetched_ahead == []


def test_the_window_doubles_while_it_is_used_and_ends_at_its_limit() -> None:
    reader = Reader(Line(2000))
    ahead_of = [max([number, *reader.open(number), *reader.fetched_ahead]) - number for number in range(1000)]
    assert reader.misses == 2
    assert max(ahead_of) == WINDOW
    assert min(ahead_of[500:900]) >= WINDOW // 2
    assert sum(1 for number in range(500, 900) if ahead_of[number] > ahead_of[number - 1]) < 400 / (WINDOW // 4)


def test_a_whole_walk_waits_twice_and_fetches_nothing_in_vain() -> None:
    reader = Reader(Line(5000)).read(range(5000))
    assert (reader.misses, reader.in_vain) == (2, 0)
    assert reader.ahead.counters.fetched == reader.ahead.counters.used == 4998


def test_parallel_readers_that_overtake_one_another_are_one_walk() -> None:
    shuffled = [base + offset for base in range(0, 2000, 8) for offset in random.Random(base).sample(range(8), 8)]
    reader = Reader(Line(2000)).read(shuffled)
    assert reader.misses < 20
    assert reader.in_vain == 0


def test_several_walks_at_a_time_do_not_disturb_one_another() -> None:
    reader = Reader(Line(40_000))
    for step in range(500):
        for base in range(0, 40_000, 10_000):
            reader.open(base + step)
    assert reader.misses < 4 * 12
    assert reader.in_vain <= 4 * WINDOW


@pytest.mark.parametrize("step", [2, 3, 4])
def test_who_skips_files_makes_us_fetch_three_tenths_too_much_at_most(step: int) -> None:
    reader = Reader(Line(100_000)).read(range(0, 10_000, step))
    assert reader.in_vain <= 0.3 * len(reader.opened) + 16


def test_who_opens_the_first_files_of_every_directory_makes_us_fetch_three_tenths_too_much_at_most() -> None:
    reader = Reader(Line(1_000_000))
    for base in range(0, 300_000, 1000):
        reader.read(range(base, base + 3))
    assert reader.in_vain <= 0.3 * len(reader.opened) + 16


def test_after_any_past_the_account_forgives_little_more_than_one_window() -> None:
    reader = Reader(Line(3_000_000)).read(range(20_000))
    before = reader.in_vain
    for base in range(1_500_000, 2_500_000, 10_000):
        reader.read(range(base, base + 2))
    assert reader.in_vain - before <= 0.3 * 200 + 3 * WINDOW


def test_random_access_to_small_and_large_trees_fetches_little_in_vain() -> None:
    for count in (200, 10_000):
        chance = random.Random(count)
        reader = Reader(Line(count)).read(chance.randrange(count) for _ in range(3 * count))
        assert reader.in_vain <= 0.3 * len(reader.opened) + 16


def test_larger_files_are_fewer_ahead() -> None:
    reader = Reader(Line(2000, size=1 << 20))
    most = 0
    for number in range(1000):
        reader.open(number)
        most = max(most, len(reader.cache - reader.opened))
    assert 2 <= most <= 12, "megabytes that nobody may want"
    assert reader.misses < 100


def test_a_walk_that_cannot_be_told_yet_goes_on_when_it_can() -> None:
    line = Line(1000)
    line.closed_from = 50
    reader = Reader(line).read(range(50))
    line.closed_from = 1000
    reader.read(range(50, 500))
    assert reader.misses <= 4


def test_what_was_here_already_costs_nothing() -> None:
    reader = Reader(Line(100_000))
    for number in range(0, 9_000, 3):
        for fetched in reader.open(number):
            reader.ahead.was_here(fetched)
    assert reader.ahead.counters.fetched == 0
    assert len(reader.fetched_ahead) > 1000, "looking costs nothing, so looking goes on"


def test_after_stop_nothing_is_expected_and_a_new_walk_begins_anew() -> None:
    reader = Reader(Line(1000)).read(range(100))
    assert reader.ahead.expects(100)
    reader.ahead.stop()
    assert not reader.ahead.expects(100)
    assert reader.open(500) == []
    assert reader.open(501)


def test_memory_is_bounded_whatever_is_opened() -> None:
    reader = Reader(Line(1_000_000))
    chance = random.Random(3)
    for _ in range(100):
        base = chance.randrange(1_000_000)
        reader.read(range(base, base + chance.randrange(200), chance.randrange(1, 4)))
        assert len(reader.ahead._expected) <= 8 * (2 * WINDOW + 4)


def test_who_reads_here_and_there_does_not_pay_for_looking_where_a_walk_would_lead() -> None:
    line = Line(100_000)
    reader = Reader(line).read(random.Random(5).sample(range(0, 100_000, 40), 2_000))
    assert line.looked <= 40
    reader.read(range(7, 60_000, 40))
    assert line.looked <= 80


def test_a_walk_is_noticed_after_any_number_of_reads_here_and_there() -> None:
    line = Line(100_000)
    reader = Reader(line).read(random.Random(5).sample(range(0, 90_000, 40), 2_000))
    before = reader.misses
    reader.read(range(95_000, 95_500))
    assert reader.misses - before <= 8
