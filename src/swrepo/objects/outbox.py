"""Objects that one process writes for another one to name: the hand of an ObjectBatch in a process of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import write_error
from swrepo.objects.files import write_object

_MOST_KNOWN = 20_000
"""Objects whose writing is remembered: one more copy of an older one costs a moment and nothing else."""


Written = tuple[str, str, int]
"""An object that waits for its name: its path in the storage, the file that holds it, its size in bytes.

No class, for such tuples travel between processes in a fifth of the time.
"""


class Outbox:
    """ObjectStore over the storage `root`: writes below the directory `place`, names nothing. For one thread."""

    def __init__(self, root: str, place: str) -> None:
        self._root = root
        self._place = place
        self._counter = itertools.count()
        self._known: set[str] = set()
        self._written: list[Written] = []
        self._found: list[ObjectId] = []

    def has(self, object_id: ObjectId) -> bool:
        """Whether the storage has it, or it was written here."""
        return self._has(object_id, object_id.path)

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """Write it, unless it is there. CorruptObject where the bytes are not those of that name."""
        path = object_id.path
        if self._has(object_id, path):
            return
        temporary = f"{self._place}/{next(self._counter)}"
        try:
            size = write_object(temporary, object_id, stored)
        except OSError as error:
            raise write_error(Path(self._root), error) from error
        self._written.append((path, temporary, size))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known.add(path)

    def handed_over(self) -> tuple[list[Written], list[ObjectId]]:
        """What was written since the last call, and what was found to be there."""
        handed, self._written, self._found = (self._written, self._found), [], []
        return handed

    def delete(self, object_id: ObjectId) -> None:
        """Nobody asks for it here."""
        raise NotImplementedError(f"{object_id}: whoever writes for another process deletes nothing")

    def list(self) -> Iterator[ObjectId]:
        """See `delete`."""
        raise NotImplementedError("whoever writes for another process lists nothing")

    def _has(self, object_id: ObjectId, path: str) -> bool:
        if path in self._known:
            return True
        if os.path.exists(f"{self._root}/{path}"):
            self._found.append(object_id)
            return True
        return False
