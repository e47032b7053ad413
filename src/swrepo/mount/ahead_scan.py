"""Looks through files that came, for the names of others: in the pool, one after another, opened ones first."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from swrepo.errors import SwrepoError
from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_around import Around
from swrepo.mount.ahead_mentions import LARGEST, Mention, mentions
from swrepo.mount.ahead_recent import Recent
from swrepo.objects.store import Want
from swrepo.vfs.volume import Volume

log = logging.getLogger(__name__)

_EXPECTED = 8192
"""Files that are looked through when they come."""


class Text(NamedTuple):
    """A file that may name others, in the revision that a volume shows."""

    volume: Volume
    epoch: int
    directory: bytes
    name: bytes
    around: Around


class Scans:
    """Safe from any thread; `_lock` guards the queues, nothing is acquired under it.

    `told` is given what a text mentions, in the pool.
    """

    def __init__(self, pool: Executor, told: Callable[[Text, Sequence[Mention]], object]) -> None:
        self._pool = pool
        self._told = told
        self._lock = threading.Lock()
        self._expected: OrderedDict[ObjectId, tuple[Want, Text]] = OrderedDict()
        self._waiting: deque[tuple[Want, Text]] = deque()
        self._seen: Recent[ObjectId] = Recent(_EXPECTED)
        self._is_running = False

    def expect(self, want: Want, text: Text, *, is_here: bool = False) -> None:
        """Look through it when it comes, or at once where it is here."""
        if want.size is None or want.size > 8 * LARGEST:
            return
        with self._lock:
            if want.id in self._seen:
                return
            self._expected[want.id] = want, text
            if len(self._expected) > _EXPECTED:
                self._expected.popitem(last=False)
        if is_here:
            self.came(want.id)

    def forget(self) -> None:
        """Nothing that is expected matters any more: another revision is shown, or fetching fails."""
        with self._lock:
            self._expected.clear()
            self._waiting.clear()

    def came(self, object_id: ObjectId) -> None:
        """An object is here; most are none that anybody expects."""
        if object_id not in self._expected:
            return
        with self._lock:
            found = self._expected.pop(object_id, None)
            if found is None:
                return
            self._seen.add(object_id)
            self._waiting.append(found)
            if self._is_running:
                return
            self._is_running = True
        try:
            self._pool.submit(self._run)
        except RuntimeError:  # the mount ends, and the pool takes no more work
            log.debug("no more files are looked through")

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                want, text = self._waiting.popleft()
            try:
                content = _read(text, want)
                if content is None:  # it still travels
                    with self._lock:
                        self._seen.drop(want.id)
                    self.expect(want, text)
                    continue
                found = mentions(text.name, text.directory, content)
                if found:
                    self._told(text, found)
            except (SwrepoError, OSError) as error:
                log.debug("%r is not looked through: %s", text.name, error)
            except Exception:
                log.exception("looking through %r failed", text.name)


def _read(text: Text, want: Want) -> bytes | None:
    """The file, or what it begins with; None where it is not here."""
    descriptor = text.around.objects.open_if_here(want)
    if descriptor is None:
        return None
    try:
        return os.pread(descriptor, 8 * LARGEST if b".so" in text.name else LARGEST, 0)
    finally:
        os.close(descriptor)
