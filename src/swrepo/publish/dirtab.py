"""`.cvmfsdirtab`: rules that say which directories get a catalog of their own. Source: format.md 6, original.md 2.

A line is a pattern, `! pattern`, a comment (#) or blank. A directory gets a catalog where a pattern fits its path and
no `!` pattern does. Patterns are absolute and `*`, `?` and `[...]` stay within one component; those after `!` may be
relative, and their `*` spans directories. Nothing here walks a tree: whoever comes by a directory asks for it, so that
only directories that a publication touches are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT, join

_BLANKS = b" \t\r"
_ESCAPE = ord("\\")
_SPECIAL = b"*?\\"
_NEVER = re.compile(rb"(?!)")

_Element = tuple[tuple[str, bytes], ...]
"""A component of a pattern: ("text", ...), ("many", b""), ("one", b"") and ("set", b"[...]")."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A parsed path specification."""

    elements: tuple[_Element, ...]
    is_absolute: bool

    def expression(self, *, spanning: bool) -> bytes:
        """As a regular expression for whole paths; `spanning` is whether `*` takes slashes too."""
        many = rb".*" if spanning else rb"[^/]*"
        parts = (b"".join(_expression(kind, text, many) for kind, text in element) for element in self.elements)
        return (b"/" if self.is_absolute else b"") + b"/".join(parts)


class Dirtab:
    """The rules of one file; `Dirtab()` has none and fits nothing."""

    def __init__(self, positive: Iterable[_Pattern] = (), negative: Iterable[_Pattern] = ()) -> None:
        self._positive = tuple(positive)
        self._fits = _any(pattern.expression(spanning=False) for pattern in self._positive)
        self._opposes = _any(pattern.expression(spanning=True) for pattern in negative)

    def __bool__(self) -> bool:
        return bool(self._positive)

    def fits(self, path: bytes) -> bool:
        """Whether the directory at `path` gets a catalog."""
        return self._fits.fullmatch(path) is not None and self._opposes.fullmatch(path) is None

    def candidates(self, listing: Callable[[bytes], Iterable[Dirent]]) -> Iterator[bytes]:
        """The directories of a tree that get a catalog, sorted; only those on the way to them are listed.

        For a source of changes that does not come by every directory, when the rules have changed.
        """
        found: set[bytes] = set()
        for pattern in self._positive:
            level = [ROOT]
            for element in pattern.elements:
                name = re.compile(b"".join(_expression(kind, text, rb"[^/]*") for kind, text in element), re.DOTALL)
                level = [
                    join(above, entry.name)
                    for above in level
                    for entry in listing(above)
                    if entry.is_directory and name.fullmatch(entry.name)
                ]
            found.update(level)
        return iter(sorted(path for path in found if self.fits(path)))


def parse(text: bytes) -> Dirtab:
    """The rules. FormatError naming every line that is none, and rules that are both positive and negative."""
    rules: dict[bool, dict[_Pattern, int]] = {False: {}, True: {}}
    wrong: list[str] = []
    for number, line in enumerate(text.split(b"\n"), 1):
        rule = line.strip(_BLANKS)
        if not rule or rule.startswith(b"#"):
            continue
        negative = rule.startswith(b"!")
        spec = rule[1:].strip(_BLANKS) if negative else rule
        if not spec:
            continue
        pattern = _pattern(spec)
        shown = spec.decode("utf-8", "backslashreplace")
        if pattern is None:
            wrong.append(f"line {number}: {shown!r} is no path (a backslash goes before *, ? or another one)")
        elif not negative and not pattern.is_absolute:
            wrong.append(f"line {number}: {shown!r} has to begin with a slash")
        elif pattern in rules[not negative]:
            wrong.append(f"line {number}: {shown!r} is a rule and an exclusion (line {rules[not negative][pattern]})")
        else:
            rules[negative].setdefault(pattern, number)
    if wrong:
        raise FormatError("; ".join(wrong))
    return Dirtab(rules[False], rules[True])


def _pattern(spec: bytes) -> _Pattern | None:
    elements = [_element(part) for part in spec.split(b"/") if part]
    if not elements or None in elements:
        return None
    return _Pattern(tuple(element for element in elements if element is not None), spec.startswith(b"/"))


def _element(text: bytes) -> _Element | None:
    """None where a backslash stands before something that needs none."""
    parts: list[tuple[str, bytes]] = []
    plain, at = bytearray(), 0
    while at < len(text):
        byte, kind, length = text[at : at + 1], "", 1
        if text[at] == _ESCAPE:
            if text[at + 1 : at + 2] not in (b"*", b"?", b"\\"):
                return None
            byte, length = text[at + 1 : at + 2], 2
        elif byte == b"*":
            kind = "many"
        elif byte == b"?":
            kind = "one"
        elif byte == b"[" and (end := text.find(b"]", at + 2)) > 0 and not any(c in _SPECIAL for c in text[at:end]):
            # The original finds directories with glob(3), which knows sets.
            kind, byte, length = "set", text[at : end + 1], end + 1 - at
        if kind:
            parts += [("text", bytes(plain))] if plain else []
            parts.append((kind, byte if kind == "set" else b""))
            plain.clear()
        else:
            plain += byte
        at += length
    if plain:
        parts.append(("text", bytes(plain)))
    return tuple(parts)


def _expression(kind: str, text: bytes, many: bytes) -> bytes:
    if kind == "many":
        return many
    if kind == "one":
        return rb"[^/]"
    if kind == "set":
        inside = text[1:-1]
        negated = inside[:1] in (b"!", b"^")
        members = inside[negated:].replace(b"[", rb"\[").replace(b"^", rb"\^").replace(b"&", rb"\&")
        members = members.replace(b"~", rb"\~").replace(b"|", rb"\|").replace(b"]", rb"\]")
        return rb"(?!/)[" + (b"^" if negated else b"") + members + b"]"
    return re.escape(text)


def _any(expressions: Iterable[bytes]) -> re.Pattern[bytes]:
    alternatives = list(expressions)
    if not alternatives:
        return _NEVER
    try:
        return re.compile(b"|".join(b"(?:" + item + b")" for item in alternatives), re.DOTALL)
    except re.error as error:
        raise FormatError(f"a set in brackets cannot be understood: {error}") from error
