"""The names that a compiled Python module uses at its top, those of what it imports among them. Pure.

Only the outline of the format is followed: nothing is made of what is in it, whatever its bytes are, so a file from
anywhere may be looked through. Source: CPython, Python/marshal.c and Objects/codeobject.c, versions 3.8 to 3.14.
"""

from __future__ import annotations

from swrepo.errors import FormatError

_HEADER = 16
_MAGIC_OF_311 = 3450
_DEEPEST = 64
_MOST_OBJECTS = 400_000

_OF_CODE = 8
"""Objects of a code object between its numbers and its line: code, constants, names and others."""

_FIXED = {ord("i"): 4, ord("I"): 8, ord("g"): 8, ord("y"): 16, ord("0"): 0}
_FIXED |= dict.fromkeys(map(ord, "NFTS."), 0)
_LONG_TEXT = frozenset(map(ord, "stuaA"))
_SHORT_TEXT = frozenset(map(ord, "zZ"))
_MANY = frozenset(map(ord, "([<>"))
_REF, _FLAG = ord("r"), 0x80
_TUPLE, _DICT, _CODE, _LONG, _FLOAT, _COMPLEX, _SLICE = map(ord, "){clfx:")


def names_at_the_top(content: bytes) -> list[bytes]:
    """In the order of their first use. FormatError where it is no compiled module, or none that is known."""
    if len(content) < _HEADER + 1 or content[2:4] != b"\r\n":
        raise FormatError("no compiled module of Python")
    outline = _Outline(content, is_new=int.from_bytes(content[:2], "little") >= _MAGIC_OF_311)
    try:
        return outline.names()
    except IndexError:
        raise FormatError("a compiled module that is cut off") from None


class _Outline:
    """Goes over the objects of a file; `_refs` are the texts among those that others refer to."""

    def __init__(self, content: bytes, *, is_new: bool) -> None:
        self._content = content
        self._position = _HEADER
        self._refs: list[bytes | None] = []
        self._count = 0
        self._numbers, self._last = (5, 2) if is_new else (6, 1)

    def names(self) -> list[bytes]:
        if self._content[self._position] & ~_FLAG != _CODE:
            raise FormatError("a compiled module without code")
        if self._content[self._position] & _FLAG:
            self._refs.append(None)
        self._position += 1 + 4 * self._numbers
        self._skip(0)  # the code
        self._skip(0)  # its constants, functions and classes among them
        return self._texts()

    def _texts(self) -> list[bytes]:
        """The texts of a tuple."""
        content = self._content
        kind = content[self._position]
        if kind & ~_FLAG not in (_TUPLE, ord("(")):
            raise FormatError("a compiled module without names")
        if kind & _FLAG:
            self._refs.append(None)
        self._position += 1
        found: list[bytes] = []
        for _ in range(self._size(1 if kind & ~_FLAG == _TUPLE else 4)):
            text = self._skip(0)
            if text is not None:
                found.append(text)
        return found

    def _size(self, width: int) -> int:
        end = self._position + width
        if end > len(self._content):
            raise IndexError
        size = int.from_bytes(self._content[self._position : end], "little")
        self._position = end
        return size

    def _skip(self, depth: int) -> bytes | None:
        """Go over one object; its bytes where it is a text."""
        content = self._content
        kind = content[self._position]
        self._position += 1
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_OBJECTS:
            raise FormatError("a compiled module that is too deep or too large")
        if kind == _REF:
            number = self._size(4)
            return self._refs[number] if number < len(self._refs) else None
        plain = kind & ~_FLAG
        if plain in _SHORT_TEXT or plain in _LONG_TEXT:
            size = self._size(1 if plain in _SHORT_TEXT else 4)
            text = content[self._position : self._position + size]
            self._position += size
            if kind & _FLAG:
                self._refs.append(text)
            return text
        if kind & _FLAG:
            self._refs.append(None)
        self._skip_other(plain, depth)
        return None

    def _skip_other(self, plain: int, depth: int) -> None:
        if plain in _FIXED:
            self._position += _FIXED[plain]
        elif plain == _TUPLE or plain in _MANY:
            self._skip_many(self._size(1 if plain == _TUPLE else 4), depth)
        elif plain == _CODE:
            self._position += 4 * self._numbers
            self._skip_many(_OF_CODE, depth)
            self._position += 4
            self._skip_many(self._last, depth)
        elif plain == _LONG:
            digits = self._size(4)
            self._position += 2 * min(digits, (1 << 32) - digits)
        elif plain in (_FLOAT, _COMPLEX):
            for _ in range(1 if plain == _FLOAT else 2):
                self._position += self._size(1)
        elif plain == _DICT:
            while self._content[self._position] != ord("0"):
                self._skip_many(2, depth)
            self._position += 1
        elif plain == _SLICE:
            self._skip_many(3, depth)
        else:
            raise FormatError(f"a compiled module with an object of kind {plain}")

    def _skip_many(self, count: int, depth: int) -> None:
        for _ in range(count):
            self._skip(depth + 1)
