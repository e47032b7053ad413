"""The members of a tar archive as it streams by: each with its names, attributes and bytes, in constant memory.

What the archive lacks is never passed over: one that breaks off, or goes on with something that is no header, is a
FormatError that says where.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from swrepo.errors import FormatError
from swrepo.format import tar
from swrepo.format.tar import BLOCK, Header, Sparse
from swrepo.publish.member import Member, MemberContent, Read

_LONGEST_RECORDS = 16 << 20
"""Bytes of the largest extended header: maps of sparse files may be long."""

_LONGEST_NAME = 1 << 20
_READ = 1 << 20
_XATTR = b"SCHILY.xattr."
_XATTR_64 = b"LIBARCHIVE.xattr."
_SPARSE = b"GNU.sparse."

_FORMATS = {
    b"0": stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    b"1": stat.S_IFREG,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"5": stat.S_IFDIR,
    b"6": stat.S_IFIFO,
    b"D": stat.S_IFDIR,
}
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
_UNUSED = (b"V",)
"""A volume's label: about no file."""

Records = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class _Input:
    """The archive's bytes, counted."""

    read: Read
    position: int = 0

    def some(self, size: int) -> bytes:
        """Between one and `size` bytes. FormatError at the end."""
        data = self.read(size)
        if not data:
            raise FormatError(f"the archive breaks off after {self.position:,} bytes: it is truncated")
        self.position += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            parts.append(self.some(min(missing, _READ)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.some(min(size, _READ)))

    def block(self) -> bytes | None:
        """The next block; None at the very end."""
        data = self.read(BLOCK)
        if not data:
            return None
        self.position += len(data)
        return data + self.exactly(BLOCK - len(data)) if len(data) < BLOCK else data


@dataclass(slots=True)
class _Body:
    """The data of a member, of which so much is left."""

    source: _Input
    left: int

    def take(self, size: int) -> bytes:
        data = self.source.some(min(size, self.left))
        self.left -= len(data)
        return data


@dataclass(slots=True)
class TarStream:
    """The archive that `read` gives. `is_sealed`: something else (a checksum of its compression) proves it complete.

    Iterate once; `has_more` is then whether something follows its end.
    """

    read: Read
    is_sealed: bool = False
    has_more: bool = False
    _global: dict[bytes, bytes] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Member]:
        source = _Input(self.read)
        records: Records = []
        names: dict[bytes, bytes] = {}
        while True:
            where = source.position
            try:
                block = source.block()
                if block is None or tar.is_zero(block):
                    self._finish(source, is_marked=block is not None)
                    return
                header = tar.parse_header(block)
                if header.kind in (b"x", b"g", b"L", b"K"):
                    self._about_the_next(source, header, records, names)
                    continue
                body = _Body(source, _stored(header, records))
                member = None if header.kind in _UNUSED else self._member(block, header, records, names, body)
            except FormatError as error:
                raise FormatError(f"{error} (in the header at byte {where:,})") from error
            records, names = [], {}
            if member is not None:
                yield member
            source.skip(body.left)
            source.skip(-source.position % BLOCK)

    def _about_the_next(self, source: _Input, header: Header, records: Records, names: dict[bytes, bytes]) -> None:
        """A header that only tells more of the next one."""
        limit = _LONGEST_RECORDS if header.kind in (b"x", b"g") else _LONGEST_NAME
        if header.stored > limit:
            raise FormatError(f"a header tells of a name or attributes of {header.stored:,} bytes")
        data = source.exactly(header.stored)
        source.skip(-header.stored % BLOCK)
        if header.kind == b"x":
            records += tar.parse_pax(data)
        elif header.kind == b"g":
            self._global.update(tar.parse_pax(data))
        else:
            names[header.kind] = data.rstrip(b"\0")

    def _member(
        self, block: bytes, header: Header, records: Records, names: Mapping[bytes, bytes], body: _Body
    ) -> Member:
        said = {**self._global, **dict(records)}
        sparse = self._sparse(block, header, records, said, body)
        form = _FORMATS.get(header.kind)
        name = said.get(_SPARSE + b"name") or said.get(b"path") or names.get(b"L") or header.name
        if form is None:
            raise FormatError(f"{name!r} is of the kind {header.kind!r}, which no file system has")
        if form == stat.S_IFREG and header.kind != b"1" and name.endswith(b"/"):
            form = stat.S_IFDIR  # as archives from before POSIX have them
        if header.kind in _WITHOUT_DATA:
            body.left = 0  # some writers repeat the size of a link's file
        seconds, nanoseconds = tar.pax_time(said[b"mtime"]) if said.get(b"mtime") else (header.mtime, 0)
        return Member(
            name=name,
            mode=form | header.mode & 0o7777,
            uid=tar.pax_number(said[b"uid"]) if said.get(b"uid") else header.uid,
            gid=tar.pax_number(said[b"gid"]) if said.get(b"gid") else header.gid,
            size=sparse.size if form == stat.S_IFREG and header.kind != b"1" else 0,
            mtime=seconds,
            mtime_ns=nanoseconds,
            link=said.get(b"linkpath") or names.get(b"K") or header.link,
            is_link=header.kind == b"1",
            rdev=_device(header),
            xattrs=dict(_xattrs(said)),
            content=MemberContent(body.take, sparse),
        )

    def _sparse(
        self, block: bytes, header: Header, records: Records, said: Mapping[bytes, bytes], body: _Body
    ) -> Sparse:
        """Where the data belong; most members have all of them in one piece."""
        if header.kind == b"S":
            sparse, more = tar.old_sparse(block)
            while more:
                more = tar.more_sparse(body.source.exactly(BLOCK), sparse)
        elif _SPARSE + b"major" in said:
            sparse = _map_in_data(said, body)
        elif _SPARSE + b"size" in said:
            sparse = _map_in_records(records)
        else:
            sparse = Sparse(body.left)
            sparse.add(0, body.left)
        if sparse.stored != body.left:
            raise FormatError("the map of a sparse file names other data than there are")
        return sparse

    def _finish(self, source: _Input, *, is_marked: bool) -> None:
        if not is_marked and not self.is_sealed:
            raise FormatError(
                "the archive is empty" if source.position == 0 else "the archive has no end mark: it may be truncated"
            )
        while data := self.read(_READ):
            self.has_more = self.has_more or data.count(0) != len(data)


def _stored(header: Header, records: Records) -> int:
    size = dict(records).get(b"size")
    stored = tar.pax_number(size) if size else header.stored
    if not 0 <= stored < 1 << 62:
        raise FormatError(f"a header tells of {stored} bytes")
    return stored


def _device(header: Header) -> int:
    try:
        return os.makedev(header.major, header.minor) if header.kind in (b"3", b"4") else 0
    except (OverflowError, ValueError) as error:
        raise FormatError(f"there is no device {header.major}, {header.minor}") from error


def _xattrs(said: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in said.items():
        if key.startswith(_XATTR_64):
            try:
                yield unquote_to_bytes(key[len(_XATTR_64) :]), base64.b64decode(value + b"=" * (-len(value) % 4))
            except binascii.Error as error:
                raise FormatError(f"{key!r} is no base64") from error
        elif key.startswith(_XATTR):
            yield key[len(_XATTR) :], value


def _map_in_records(records: Records) -> Sparse:
    """The formats 0.0 (a pair of records for each segment) and 0.1 (one record)."""
    sparse = Sparse(tar.pax_number(dict(records)[_SPARSE + b"size"]))
    offset = 0
    for key, value in records:
        if key == _SPARSE + b"offset":
            offset = tar.pax_number(value)
        elif key == _SPARSE + b"numbytes":
            sparse.add(offset, tar.pax_number(value))
        elif key == _SPARSE + b"map":
            numbers = value.split(b",")
            for place, length in zip(numbers[::2], numbers[1::2], strict=False):
                sparse.add(tar.pax_number(place), tar.pax_number(length))
    return sparse


def _map_in_data(said: Mapping[bytes, bytes], body: _Body) -> Sparse:
    """The format 1.0: decimal lines before the data, filled up to a block."""
    sparse = Sparse(tar.pax_number(said.get(_SPARSE + b"realsize", b"")))
    rest = b""

    def line() -> int:
        nonlocal rest
        while b"\n" not in rest:
            if body.left < BLOCK or len(rest) > BLOCK:
                raise FormatError("the map of a sparse file has no end")
            rest += body.source.exactly(BLOCK)
            body.left -= BLOCK
        text, _, rest = rest.partition(b"\n")
        return tar.pax_number(text)

    for _ in range(line()):
        sparse.add(line(), line())
    return sparse
