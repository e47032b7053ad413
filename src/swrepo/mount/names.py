"""Requests about names: look-ups, attributes and listings, from the Vfs to the bytes that the kernel takes."""

from __future__ import annotations

from swrepo.errors import PathNotFound
from swrepo.fuse import wire
from swrepo.fuse.request import Request
from swrepo.mount.answers import NO_ATTRIBUTES, attributes, name_only
from swrepo.mount.beforehand import Beforehand
from swrepo.repository.status import Status
from swrepo.vfs.owners import Owners
from swrepo.vfs.tree import ROOT_NODE, Vfs


class Names:
    """For who holds the lock of the Vfs. `validity`: seconds for which the kernel may keep what it is told."""

    def __init__(self, vfs: Vfs, validity: int, owners: Owners | None, beforehand: Beforehand) -> None:
        self._vfs = vfs
        self._validity = validity
        self._owners = owners
        self._beforehand = beforehand
        self._absent = wire.ENTRY.pack(0, 0, validity, 0, 0, 0, *NO_ATTRIBUTES)
        vfs.foreseen.pack = self._packed

    def ready(self, request: Request) -> bytes | None:
        """The answer to a look-up where it was made ready, and the kernel is told now."""
        body = request.body
        found = self._vfs.foreseen.answer(request.node, body[: body.index(0)])
        if found is None:
            return None
        number, packed, entry = found
        if entry is None:
            return self._absent
        self._vfs.nodes.remember(number)
        self._beforehand.looked_up(number, entry.mode, entry.size)
        return packed

    def lookup(self, request: Request) -> bytes:
        name = request.body[: request.body.index(0)]
        try:
            number, found = self._vfs.lookup(request.node, name)
        except PathNotFound:
            if request.node == ROOT_NODE and self._vfs.is_synthetic:
                raise  # it may exist the next time, so the kernel is not told to remember
            return self._absent
        self._vfs.nodes.remember(number)
        self._beforehand.looked_up(number, found.mode, found.size)
        return self._packed(number, found)

    def _packed(self, number: int, found: Status) -> bytes:
        return wire.ENTRY.pack(number, 0, self._validity, self._validity, 0, 0, *self._attributes(number, found))

    def getattr(self, request: Request) -> bytes:
        found = self._vfs.status(request.node)
        return wire.ATTR.pack(self._validity, 0, 0, *self._attributes(request.node, found))

    def readdir(self, request: Request) -> bytes:
        _, cookie, size, *_ = wire.READ_IN.unpack_from(request.body)
        parts: list[bytes] = []
        room = size
        for item in self._vfs.listing(request.node, cookie, size // wire.DIRENT.size + 1):
            name = item.name
            record = wire.DIRENT.pack(item.number, item.cookie, len(name), item.mode >> 12) + name
            record += wire.PADDING[len(name) & 7]
            room -= len(record)
            if room < 0:
                break
            parts.append(record)
        return b"".join(parts)

    def readdirplus(self, request: Request) -> bytes:
        _, cookie, size, *_ = wire.READ_IN.unpack_from(request.body)
        parts: list[bytes] = []
        room, validity = size, self._validity
        pack, remember, padding = wire.DIRENT_PLUS.pack, self._vfs.nodes.remember, wire.PADDING
        for item in self._vfs.listing(request.node, cookie, size // wire.DIRENT_PLUS.size + 1):
            name, number, mode, cookie, found = item
            length = len(name)
            room -= wire.DIRENT_PLUS.size + length + (-length & 7)
            if room < 0:
                break
            if found is None:
                parts.append(name_only(item))
            else:
                told = self._attributes(number, found)
                parts.append(pack(number, 0, validity, validity, 0, 0, *told, number, cookie, length, mode >> 12))
                remember(number)
            parts.append(name)
            parts.append(padding[length & 7])
        return b"".join(parts)

    def _attributes(self, number: int, found: Status) -> tuple[int, ...]:
        return attributes(number, found if self._owners is None else self._owners.shown(found))
