"""Blocks of a tar archive as values: headers of the ustar, GNU and old kinds, PAX records, maps of sparse files. Pure.

Source: POSIX.1-2001 (pax interchange format) and the manual of GNU tar, "Basic Tar Format", "Storing Sparse Files".
Names are bytes; nothing here judges them.
"""

from __future__ import annotations

from array import array
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from swrepo.errors import FormatError

BLOCK = 512
_ZEROS = bytes(BLOCK)
_GNU = b"ustar  \0"
_USTAR = b"ustar\0"
_CHECKSUM = slice(148, 156)
_SPARSE_FIELD = 24
_MOST_SEGMENTS = 1 << 20
_NANOSECONDS = 1_000_000_000


class Header(NamedTuple):
    """One header block. `stored` is the number of bytes that follow; `kind` is the type flag, one byte."""

    name: bytes
    mode: int
    uid: int
    gid: int
    stored: int
    mtime: int
    kind: bytes
    link: bytes
    major: int
    minor: int


class Sparse:
    """Where the data of a sparse file belong: segments in order, without overlap, within `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.offsets = array("Q")
        self.lengths = array("Q")
        self.stored = 0

    def add(self, offset: int, length: int) -> None:
        """The next segment; FormatError where it lies before the end of the last one or beyond the end."""
        end = self.offsets[-1] + self.lengths[-1] if self.offsets else 0
        if offset < end or length < 0 or offset + length > self.size:
            raise FormatError(f"the map of a sparse file names {length} bytes at {offset}, where they cannot be")
        if len(self.offsets) >= _MOST_SEGMENTS:
            raise FormatError(f"the map of a sparse file has more than {_MOST_SEGMENTS:,} segments")
        if length:
            self.offsets.append(offset)
            self.lengths.append(length)
            self.stored += length


def is_zero(block: bytes) -> bool:
    """Whether this is one of the blocks of zeros that end an archive."""
    return block == _ZEROS


def parse_header(block: bytes) -> Header:
    """Read a header block; FormatError where its checksum or a number is wrong."""
    _check(block)
    kind = block[156:157]
    name = _text(block[0:100])
    if block[257:263] == _USTAR and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    has_numbers = kind in (b"3", b"4")
    return Header(
        name=name,
        mode=number(block[100:108]),
        uid=number(block[108:116]),
        gid=number(block[116:124]),
        stored=_size(number(block[124:136])),
        mtime=number(block[136:148]),
        kind=kind if kind != b"\0" else b"0",
        link=_text(block[157:257]),
        major=number(block[329:337]) if has_numbers else 0,
        minor=number(block[337:345]) if has_numbers else 0,
    )


def number(field: bytes) -> int:
    """A number in octal digits or, where the highest bit of the first byte is set, in base 256; FormatError."""
    if field[:1] >= b"\x80":
        value = int.from_bytes(field, "big")
        bits = 8 * len(field)
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << bits - 1)
    digits = field.partition(b"\0")[0].strip(b" ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError as error:
        raise FormatError(f"a header has {field!r} in place of a number") from error


def old_sparse(block: bytes) -> tuple[Sparse, bool]:
    """The beginning of the map in a GNU header of the kind S, and whether more blocks of it follow."""
    if block[257:265] != _GNU:
        raise FormatError("a header says that its file is sparse and is none of GNU tar's")
    sparse = Sparse(_size(number(block[483:495])))
    _add_fields(sparse, block[386:482])
    return sparse, block[482] != 0


def more_sparse(block: bytes, sparse: Sparse) -> bool:
    """Take a further block of such a map; whether more follow."""
    _add_fields(sparse, block[:504])
    return block[504] != 0


def parse_pax(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records of an extended header, in order; FormatError."""
    records, start = [], 0
    while start < len(data):
        if data[start] == 0:
            break  # some writers fill the block up
        length, space, _ = data[start : start + 20].partition(b" ")
        if not space or not length.isdigit():
            raise FormatError("an extended header has a record without a length")
        end = start + int(length)
        record = data[start + len(length) + 1 : end]
        if end > len(data) or record[-1:] != b"\n" or b"=" not in record:
            raise FormatError("an extended header has a record that is none")
        key, _, value = record[:-1].partition(b"=")
        records.append((key, value))
        start = end
    return records


def pax_number(value: bytes) -> int:
    """A decimal number; FormatError."""
    digits = value[1:] if value[:1] == b"-" else value
    if not digits.isdigit() or len(digits) > 20:
        raise FormatError(f"an extended header has {value[:40]!r} in place of a number")
    return int(value)


def pax_time(value: bytes) -> tuple[int, int]:
    """Seconds and nanoseconds; FormatError."""
    try:
        if len(value) > 60:
            raise InvalidOperation
        exact = Decimal(value.decode("ascii"))
        if not -(1 << 62) < exact < 1 << 62:
            raise InvalidOperation
    except (InvalidOperation, UnicodeDecodeError) as error:
        raise FormatError(f"an extended header has {value[:40]!r} in place of a time") from error
    return divmod(int((exact * _NANOSECONDS).to_integral_value("ROUND_FLOOR")), _NANOSECONDS)


def _check(block: bytes) -> None:
    told = number(block[_CHECKSUM])
    rest = block[:148] + b"        " + block[156:]
    if told != sum(rest) and told != sum(byte - 256 if byte > 127 else byte for byte in rest):
        raise FormatError("a header's checksum is wrong: this is no tar archive, or it is damaged")


def _size(value: int) -> int:
    if not 0 <= value < 1 << 62:
        raise FormatError(f"a header tells of {value} bytes")
    return value


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _add_fields(sparse: Sparse, fields: bytes) -> None:
    for start in range(0, len(fields), _SPARSE_FIELD):
        field = fields[start : start + _SPARSE_FIELD]
        if field[0] == 0:
            return
        sparse.add(number(field[:12]), number(field[12:]))
