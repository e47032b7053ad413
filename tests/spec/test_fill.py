"""The background fill: whose turn it is, and where it ends; nothing is measured by time."""

from __future__ import annotations

from collections.abc import Sequence

from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_fill import TURN, Fill, Filling, State, fill
from swrepo.objects.store import Want

WANTS = [Want(ObjectId.of(b"%d" % number), size=10) for number in range(5 * TURN + 3)]


class Link:
    """Tells what was brought, and what was done while somebody waited."""

    def __init__(self, busy: Sequence[bool] = (), room: int = 1000) -> None:
        self.busy = list(busy)
        self.room = room
        self.brought: list[Want] = []
        self.pauses = 0

    def is_busy(self) -> bool:
        return bool(self.busy) and self.busy[0]

    def bring(self, wants: Sequence[Want]) -> bool:
        assert not self.is_busy(), "somebody waits"
        self.busy = self.busy[1:]
        self.brought += wants
        return True

    def pause(self, _seconds: float) -> None:
        self.pauses += 1
        self.busy = self.busy[1:]

    def fill(self) -> bool:
        return fill(
            WANTS,
            self.bring,
            may_go_on=lambda: len(self.brought) < self.room,
            is_busy=self.is_busy,
            pause=self.pause,
        )


def test_everything_comes_in_order() -> None:
    link = Link()
    assert link.fill()
    assert link.brought == WANTS


def test_no_turn_begins_while_somebody_waits() -> None:
    link = Link(busy=[False, True, True, False, True, False])
    assert link.fill()
    assert (link.brought, link.pauses) == (WANTS, 3)


def test_it_ends_before_anything_would_have_to_go_for_it() -> None:
    link = Link(room=2 * TURN)
    assert not link.fill()
    assert len(link.brought) == 2 * TURN


def test_it_ends_where_something_is_not_kept() -> None:
    assert not fill(
        WANTS, lambda _wants: False, may_go_on=lambda: True, is_busy=lambda: False, pause=lambda _seconds: None
    )


def test_a_directory_is_filled_once_when_something_in_it_was_opened() -> None:
    walked: list[bytes] = []
    brought: list[Want] = []

    def walk(path: bytes) -> list[Want]:
        walked.append(path)
        return WANTS

    filling = Fill(
        [b"/a/lib", b"/b"],
        walk,
        lambda wants: bool(brought.extend(wants) is None),
        is_busy=lambda: False,
        has_room=lambda: True,
    )
    filling.opened(b"/a/library/x")
    assert {one.state for one in filling.progress()} == {State.WAITS}
    filling.opened(b"/a/lib/x/y")
    filling._thread.join()  # type: ignore[union-attr]
    filling.opened(b"/a/lib/x/z")
    filling.close()
    assert (walked, brought) == ([b"/a/lib"] * 2, WANTS)  # for its size, and to bring it
    assert filling.progress() == [
        Filling(b"/a/lib", State.DONE, 10 * len(WANTS), 10 * len(WANTS)),
        Filling(b"/b", State.WAITS),
    ]


def test_how_far_it_came_is_told_where_it_has_to_be_left() -> None:
    brought: list[Want] = []
    room = 2 * TURN

    def bring(wants: Sequence[Want]) -> bool:
        brought.extend(wants)
        return True

    filling = Fill([b"/a"], lambda _path: WANTS, bring, is_busy=lambda: False, has_room=lambda: len(brought) < room)
    filling.opened(b"/a/x")
    filling._thread.join()  # type: ignore[union-attr]
    assert filling.progress() == [Filling(b"/a", State.LEFT, 10 * room, 10 * len(WANTS))]
