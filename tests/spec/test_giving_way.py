"""What fills a cache goes behind who waits: whose turn it is, without mounts, processes or a clock."""

from __future__ import annotations

import threading
from pathlib import Path

from swrepo.cli.giving_way import GivesWay
from swrepo.errors import MountFailed
from swrepo.mount.quiet import ENOUGH, Quiet
from swrepo.system.priority import go_last

A, B = Path("a"), Path("b")


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Mounts:
    """What each says, answer by answer; the last of them stays."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {Path(name): list(said) for name, said in answers.items()}
        self.questions: list[Path] = []
        self.time = Time()

    def ask(self, mount: Path) -> str:
        self.questions.append(mount)
        said = self.answers[mount]
        answer = said.pop(0) if len(said) > 1 else said[0]
        if answer == "nobody":
            raise MountFailed("no mount answers")
        return answer

    def gives_way(self) -> GivesWay:
        return GivesWay(lambda: list(self.answers), self.ask, self.time.pass_by, self.time)


def test_nobody_is_waited_for_where_there_is_no_mount() -> None:
    way = Mounts().gives_way()
    way.wait()
    assert way.times == 0


def test_a_turn_begins_when_all_mounts_have_been_quiet_for_long_enough() -> None:
    mounts = Mounts(a=["0.000", "0.100", "9"], b=["0.000", "9"])
    way = mounts.gives_way()
    way.wait()
    assert way.times == 3


def test_who_waits_for_long_says_why_once() -> None:
    mounts, told = Mounts(a=["0.000"] * 600 + ["9"]), []
    way = GivesWay(lambda: [A], mounts.ask, mounts.time.pass_by, mounts.time, lambda: told.append(mounts.time.now))
    way.wait()
    assert len(told) == 1
    assert told[0] >= 110


def test_an_answer_holds_for_a_moment_and_not_for_longer() -> None:
    mounts = Mounts(a=["9"])
    way = mounts.gives_way()
    for _ in range(10):
        way.wait()
    assert mounts.questions == [A]
    mounts.time.pass_by(1.0)
    way.wait()
    assert mounts.questions == [A, A]


def test_a_mount_that_ends_or_does_not_know_the_question_has_no_say() -> None:
    mounts = Mounts(a=["0.000", "nobody"], b=["unknown command"])
    way = mounts.gives_way()
    way.wait()
    mounts.time.pass_by(1.0)
    way.wait()
    assert (way.times, mounts.questions.count(B)) == (1, 1)


def test_a_mount_that_was_made_meanwhile_is_asked() -> None:
    mounts = Mounts(a=["9"])
    way = mounts.gives_way()
    way.wait()
    mounts.answers[B] = ["0.000", "9"]
    mounts.time.pass_by(10.0)
    way.wait()
    assert way.times == 1


def test_it_is_quiet_when_nobody_waits_and_nobody_has_waited_for_a_while() -> None:
    time, waiting, answered = Time(), [True], [1]
    quiet = Quiet(lambda: waiting[0], lambda: answered[0], time)
    assert (quiet.seconds(), quiet.is_enough) == (0.0, False)
    waiting[0] = False
    time.pass_by(ENOUGH)
    assert quiet.is_enough
    answered[0] = 2  # somebody waited between two looks
    assert (quiet.seconds(), quiet.is_enough) == (0.0, False)
    time.pass_by(ENOUGH)
    assert quiet.is_enough


def test_a_mount_that_nobody_uses_is_quiet() -> None:
    assert Quiet(lambda: False, lambda: 0, Time()).is_enough


def test_one_thread_can_go_last_without_the_others() -> None:
    import os

    before = os.getpriority(os.PRIO_PROCESS, 0)
    found: list[int] = []

    def run() -> None:
        go_last()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [19]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
