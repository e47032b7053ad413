"""Which open files the kernel reads by itself, from the cache: FUSE passthrough.

All who have a file open at one time must read it in the same way, and through the same file of the cache. So each file
that is open is noted, with the number that the kernel knows it by, where a successor of this process finds it too.
"""

from __future__ import annotations

import errno
import logging
import threading
from contextlib import suppress
from struct import Struct
from typing import Final

from swrepo.fuse import backing
from swrepo.system.shared_memory import SharedMemory

log = logging.getLogger(__name__)

_SLOT = Struct("=QiI")
"""Node, number of the backing file (0: read through us), how often it is open; all 0 where the slot is free."""

_SLOTS = 4096

SHAPE: Final = (_SLOT.format, _SLOTS)
"""What two programs have to agree on that share the memory."""

_WHERE_IT_CANNOT_BE = (errno.EPERM, errno.ELOOP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL)


class Unsupported(Exception):
    """No file can be handed to the kernel here."""


class OpenFiles:
    """Files that are open, of one mount. Safe from any thread: `_lock` guards all, and system calls are made under it.

    `memory` outlives this process; what another process left there is gone on with.
    """

    def __init__(self, device: int, memory: SharedMemory | None = None) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._memory = memory or new_memory()
        self._table = self._memory.map()
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._worked = False
        self._read_table()

    def open(self, node: int, descriptor: int | None) -> int:
        """A node is opened (once more), with its bytes in the file `descriptor`, which stays the caller's.

        The number of the backing file; 0 where it is read through us. Unsupported as long as no file was ever handed
        over, if none can be.
        """
        with self._lock:
            slot = self._slots.get(node)
            if slot is not None:
                _, number, count = _SLOT.unpack_from(self._table, slot)
                _SLOT.pack_into(self._table, slot, node, number, count + 1)
                return int(number)
            number = 0 if descriptor is None else self._register(descriptor)
            slot = self._slots[node] = self._new_slot()
            _SLOT.pack_into(self._table, slot, node, number, 1)
            return number

    def is_open(self, node: int) -> bool:
        """Whether somebody has it open, so that no descriptor is needed."""
        return node in self._slots

    def release(self, node: int) -> None:
        """A node was closed by one that had opened it."""
        with self._lock:
            slot = self._slots.get(node)
            if slot is None:
                return
            _, number, count = _SLOT.unpack_from(self._table, slot)
            if count > 1:
                _SLOT.pack_into(self._table, slot, node, number, count - 1)
                return
            del self._slots[node]
            _SLOT.pack_into(self._table, slot, 0, 0, 0)
            self._free.append(slot)
            if number:
                with suppress(OSError):
                    backing.release(self._device, number)

    def _register(self, descriptor: int) -> int:
        try:
            number = backing.register(self._device, descriptor)
        except OSError as error:
            if not self._worked and error.errno in _WHERE_IT_CANNOT_BE:
                log.warning("no passthrough: the kernel does not take files of the cache (%s)", error.strerror)
                raise Unsupported from error
            return 0
        self._worked = True
        return number

    def _new_slot(self) -> int:
        if not self._free:
            size = len(self._table)
            self._memory.grow(2 * size)
            self._table = self._memory.map()
            self._free = list(range(size, 2 * size, _SLOT.size))[::-1]
        return self._free.pop()

    def _read_table(self) -> None:
        for slot in range(0, len(self._table), _SLOT.size):
            node, number, _ = _SLOT.unpack_from(self._table, slot)
            if node:
                self._slots[node] = slot
                self._worked = self._worked or number > 0
            else:
                self._free.append(slot)
        self._free.reverse()


def new_memory(inherited: int | None = None) -> SharedMemory:
    """Where open files are noted. `inherited`: the descriptor of another program's."""
    return SharedMemory(_SLOTS * _SLOT.size, inherited)
