"""Requests that were read from the device and have no answer yet, in memory that outlives the process that read them.

The kernel hands a request out once. Whoever takes the place of a process that was killed finds here what that process
owed an answer for. To answer twice does no harm: numbers of requests never come again, and the kernel says ENOENT.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from swrepo.fuse.wire import IN_HEADER, READ_BUFFER
from swrepo.system.shared_memory import SharedMemory

SLOTS: Final = 1024
"""Requests under way that are noted. Those beyond are served like all others, but lost by a crash."""

_SLOT_SIZE = 512
_ATTEMPTS = Struct("=I4x")
_LENGTH = Struct("=I")
_SIZE = READ_BUFFER + SLOTS * _SLOT_SIZE

SHAPE: Final = (READ_BUFFER, SLOTS, _SLOT_SIZE, _ATTEMPTS.format, _LENGTH.format)
"""What two programs have to agree on that share the memory."""


class Inherited(NamedTuple):
    """A request of the kernel that another process left. `attempts`: how many before this one took it over so."""

    data: bytes
    attempts: int


class InFlight:
    """For the loop's thread, but for `answered`, which any thread may call with the session's lock held.

    The first `READ_BUFFER` bytes receive each request from the device; those whose answer takes longer move to a slot.
    """

    def __init__(self, memory: SharedMemory | None = None) -> None:
        """What `memory` holds of another process is `inherited`; without it, it is made."""
        self._memory = memory or new_memory()
        self._bytes = self._memory.map()
        self.buffer = memoryview(self._bytes)[:READ_BUFFER]
        self._slots: dict[int, int] = {}
        self._free = list(range(SLOTS - 1, -1, -1))
        self.inherited = self._inherit()

    def received(self, start: int, end: int) -> bytes:
        """Bytes of the request that was read last."""
        return self._bytes[start:end]

    def defer(self, unique: int) -> None:
        """Keep the request that was read last, or one that was inherited, until it is `answered`."""
        if unique in self._slots:
            return
        length, _, received, *_ = IN_HEADER.unpack_from(self._bytes)
        if received == unique:
            self._keep(unique, self._bytes[:length])

    def attempt(self, inherited: Inherited) -> None:
        """Note that an inherited request is about to be handled."""
        slot = self._slots.get(IN_HEADER.unpack_from(inherited.data)[2])
        if slot is not None:
            _ATTEMPTS.pack_into(self._bytes, _offset(slot), inherited.attempts + 1)

    def answered(self, unique: int) -> None:
        """There is an answer."""
        slot = self._slots.pop(unique, None)
        if slot is not None:
            start = _offset(slot) + _ATTEMPTS.size
            self._bytes[start : start + _LENGTH.size] = bytes(_LENGTH.size)
            self._free.append(slot)

    def _keep(self, unique: int, data: bytes) -> None:
        if self._free and len(data) <= _SLOT_SIZE - _ATTEMPTS.size:
            slot = self._free.pop()
            self._slots[unique] = slot
            start = _offset(slot)
            self._bytes[start : start + _ATTEMPTS.size] = _ATTEMPTS.pack(0)
            start += _ATTEMPTS.size
            self._bytes[start + _LENGTH.size : start + len(data)] = data[_LENGTH.size :]
            self._bytes[start : start + _LENGTH.size] = data[: _LENGTH.size]  # last: it makes the slot count

    def _inherit(self) -> list[Inherited]:
        """What another process left; each step leaves everything where the next process would find it."""
        found: list[Inherited] = []
        for slot in range(SLOTS):
            start = _offset(slot)
            data = self._request_at(start + _ATTEMPTS.size, _SLOT_SIZE - _ATTEMPTS.size)
            if data is not None:
                self._free.remove(slot)
                self._slots[IN_HEADER.unpack_from(data)[2]] = slot
                found.append(Inherited(data, _ATTEMPTS.unpack_from(self._bytes, start)[0]))
        last = self._request_at(0, READ_BUFFER)
        if last is not None and (unique := IN_HEADER.unpack_from(last)[2]) not in self._slots:
            self._keep(unique, last)
            found.append(Inherited(last, 0))
        self._bytes[: IN_HEADER.size] = bytes(IN_HEADER.size)
        return found

    def _request_at(self, start: int, room: int) -> bytes | None:
        (length,) = _LENGTH.unpack_from(self._bytes, start)
        return self._bytes[start : start + length] if IN_HEADER.size <= length <= room else None


def new_memory(inherited: int | None = None) -> SharedMemory:
    """Memory for the requests of one connection. `inherited`: the descriptor of another program's."""
    return SharedMemory(_SIZE, inherited)


def _offset(slot: int) -> int:
    return READ_BUFFER + slot * _SLOT_SIZE
