"""What the loop does while it is awake with nothing to answer: makes ready what is likely to be asked next.

Most programs read a small file right after they looked it up: so it is opened and read meanwhile, for as long as that
is what happens. And where names were looked up, the other entries of the directory are read (vfs.foreseen).
"""

from __future__ import annotations

import stat
from collections import OrderedDict
from contextlib import suppress

from swrepo.errors import SwrepoError
from swrepo.vfs.tree import Vfs

_LARGEST = 128 << 10
"""Bytes of a file that is worth it: the kernel asks for no more at once, unless it was told to."""

_PATIENCE = 80e-6
"""Seconds without a request after which there is time for more than a file: before that, one comes more often."""

_LOOKED_UP = 8
_MOST_CREDIT = 8


class Beforehand:
    """For the loop's thread; `looked_up` and `is_read` with the lock of the Vfs held, `work` without."""

    def __init__(self, vfs: Vfs) -> None:
        self._vfs = vfs
        self._next = 0
        self._looked_up: OrderedDict[int, None] = OrderedDict()
        self._credit = 0

    def looked_up(self, number: int, mode: int, size: int) -> None:
        """An entry was looked up."""
        if not stat.S_ISREG(mode) or size > _LARGEST:
            return
        self._looked_up[number] = None
        if len(self._looked_up) > _LOOKED_UP:
            self._looked_up.popitem(last=False)
            self._credit = max(0, self._credit - 1)  # nobody has read it
        if self._credit:
            self._next = number

    def is_read(self, number: int) -> None:
        """A file is read that was not open."""
        if number in self._looked_up:
            del self._looked_up[number]
            self._credit = min(_MOST_CREDIT, self._credit + 1)

    def work(self, passed: float) -> bool:
        """A piece of work, if there is any and nothing came for long enough; whether there was."""
        vfs, number = self._vfs, self._next
        if number:
            self._next = 0
            with vfs.lock, suppress(SwrepoError, OSError):  # whoever reads it gets to know
                vfs.prepare(number)
            return True
        if passed < _PATIENCE or not vfs.foreseen.is_reading:
            return False
        with vfs.lock:
            vfs.foreseen.read_on()
        return True
