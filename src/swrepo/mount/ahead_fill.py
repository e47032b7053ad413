"""The background fill: all of some directories, brought in the background once something in them was opened.

It takes turns that nobody else wants: before each it looks whether somebody waits, and then waits itself. It ends where
the cache would have to drop something for it, and at the first thing that cannot be had; the next opening begins again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.paths import is_within
from swrepo.objects.store import Want
from swrepo.repository.content import wanted_objects
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

log = logging.getLogger(__name__)

TURN = 8
"""Objects that one turn brings, together."""

_TURN_BYTES = 4 << 20
"""Plain bytes after which a turn takes no more: so soon the link is free for who comes meanwhile."""

_PAUSE = 0.05
"""Seconds after which it is looked again whether somebody waits."""

Walk = Callable[[bytes], Iterable[Want]]
"""The objects below a path, in the order in which they are to be had."""


def fill(
    wants: Iterable[Want],
    bring: Callable[[Sequence[Want]], bool],
    *,
    may_go_on: Callable[[], bool],
    is_busy: Callable[[], bool],
    pause: Callable[[float], object],
) -> bool:
    """Bring all of them, turn by turn; False where it had to be left. `bring` tells whether they were kept.

    No turn begins while `is_busy`; none after `may_go_on` has said no.
    """
    for turn in _turns(wants):
        while is_busy() and may_go_on():
            pause(_PAUSE)
        if not may_go_on() or not bring(turn):
            return False
    return True


class State(StrEnum):
    """What has become of a directory that is to be filled."""

    WAITS = "waits"
    """Nothing in it was opened so far."""
    RUNS = "runs"
    DONE = "done"
    LEFT = "left"
    """There is no room for it, or something cannot be had; the next opening begins again."""


class Filling(NamedTuple):
    """How far a directory is: plain bytes that are here, of how many in all, which is known once it has begun."""

    path: bytes
    state: State
    done: int = 0
    total: int = 0


class Fill:
    """Fills in a thread of its own, one directory after another. `opened` is called by one thread at a time."""

    def __init__(
        self,
        paths: Sequence[bytes],
        walk: Walk,
        bring: Callable[[Sequence[Want]], bool],
        is_busy: Callable[[], bool],
        has_room: Callable[[], bool],
    ) -> None:
        self._waiting = list(paths)
        self._walk = walk
        self._bring = bring
        self._is_busy = is_busy
        self._has_room = has_room
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._states = {path: Filling(path, State.WAITS) for path in paths}

    def progress(self) -> list[Filling]:
        """How far each directory is. From any thread."""
        return list(self._states.values())

    def opened(self, path: bytes) -> None:
        """A file was opened: if its directory is one to be filled, and nothing is filled at the moment, begin."""
        if not self._waiting or (self._thread is not None and self._thread.is_alive()):
            return
        chosen = next((place for place in self._waiting if is_within(path, place)), None)
        if chosen is not None:
            self._thread = threading.Thread(target=self._run, args=(chosen,), name="fill", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Begin nothing any more, and wait until what is under way has come."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, path: bytes) -> None:
        self._note(Filling(path, State.RUNS))
        try:
            self._note(Filling(path, State.RUNS, 0, sum(want.size or 0 for want in self._walk(path))))
            is_done = fill(
                self._walk(path),
                partial(self._brought, path),
                may_go_on=lambda: not self._ending.is_set() and self._has_room(),
                is_busy=self._is_busy,
                pause=self._ending.wait,
            )
        except SwrepoError as error:
            log.info("%r is not filled any further: %s", path, error)
        except Exception:
            log.exception("the background fill failed")
        else:
            if is_done:
                self._waiting.remove(path)
                self._note(self._states[path]._replace(state=State.DONE))
            log.info("%r %s", path, "is in the cache" if is_done else "is not filled any further: no room for it")
        finally:
            if self._states[path].state is not State.DONE:
                self._note(self._states[path]._replace(state=State.LEFT))

    def _brought(self, path: bytes, wants: Sequence[Want]) -> bool:
        if not self._bring(wants):
            return False
        before = self._states[path]
        self._note(before._replace(done=before.done + sum(want.size or 0 for want in wants)))
        return True

    def _note(self, filling: Filling) -> None:
        self._states[filling.path] = filling


def wants_below(revision: Revision, path: bytes) -> Iterator[Want]:
    """All contents below a path, in the order in which trees are walked."""
    for place, entry in walk(revision, path):
        if entry.is_regular and not entry.is_external:
            yield from wanted_objects(entry, revision.chunks(place) if entry.is_chunked else ())


def _turns(wants: Iterable[Want]) -> Iterator[list[Want]]:
    turn: list[Want] = []
    size = 0
    for want in wants:
        turn.append(want)
        size += want.size or 0
        if len(turn) == TURN or size >= _TURN_BYTES:
            yield turn
            turn, size = [], 0
    if turn:
        yield turn
