"""Packs: the stored bytes of many small objects in one file, so that they travel as one.

    swrepo pack 1
    2
    <digest> 4096 1200        name of the object, its plain bytes, its stored bytes
    <digest> 800 411
    ...                       the stored bytes of the objects, one behind the other

A pack is an ordinary file of a repository. Nothing in it is believed: each object is checked against its own name and
announced size when it is taken out (objects.packs). How it is compressed, its directory entry says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.object_id import ObjectId

MAGIC = b"swrepo pack 1\n"
MOST_BYTES = 8 << 20
"""Of a pack that is read: it is held in memory."""

MOST_OBJECTS = 20_000
_LONGEST_LINE = 200
_COUNT = re.compile(rb"(0|[1-9][0-9]{0,9})\n")
_LINE = re.compile(rb"([0-9a-f]{40}(?:-rmd160|-shake128)?) (0|[1-9][0-9]{0,11}) (0|[1-9][0-9]{0,11})\n")


class Packed(NamedTuple):
    """An object in a pack: `stored` bytes from `offset`, which are `plain` bytes when they are unpacked."""

    id: ObjectId
    plain: int
    offset: int
    stored: int


def encode(objects: Sequence[tuple[ObjectId, int, bytes]]) -> bytes:
    """A pack of objects: name, number of plain bytes, stored bytes."""
    if len(objects) > MOST_OBJECTS:
        raise FormatError(f"a pack has at most {MOST_OBJECTS} objects, not {len(objects)}")
    table = b"".join(b"%s %d %d\n" % (name.text.encode(), plain, len(stored)) for name, plain, stored in objects)
    return MAGIC + b"%d\n" % len(objects) + table + b"".join(stored for _, _, stored in objects)


def table(data: bytes) -> list[Packed]:
    """What is in a pack. FormatError unless its objects lie side by side up to its end."""
    position = len(MAGIC)
    count = _COUNT.match(data, position, position + _LONGEST_LINE)
    if len(data) > MOST_BYTES or not data.startswith(MAGIC) or count is None:
        raise FormatError("not a pack that this program can read")
    number, position = int(count[1]), count.end()
    if number > MOST_OBJECTS:
        raise FormatError(f"a pack has at most {MOST_OBJECTS} objects, not {number}")
    rows = []
    for _ in range(number):
        line = _LINE.match(data, position, position + _LONGEST_LINE)
        if line is None:
            raise FormatError("the table of a pack breaks off")
        rows.append((line[1].decode(), int(line[2]), int(line[3])))
        position = line.end()
    found = []
    for text, plain, stored in rows:
        found.append(Packed(ObjectId.parse(text), plain, position, stored))
        position += stored
    if position != len(data):
        raise FormatError(f"a pack of {len(data)} bytes whose objects would end at {position}")
    return found
