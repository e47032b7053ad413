"""Long values of extended attributes in pages: `NAME~2` is the third page, `NAME@2` the same with a line about it.

`NAME~?` and `NAME@?` tell how many there are. Source: features.md 2; the kernel takes no more than 64 KiB at once.
"""

from __future__ import annotations

import re

PAGE = 40_000
"""Bytes, as in the original."""

_PAGED = re.compile(r"(?P<name>[^~@]+)(?P<way>[~@])(?P<page>\?|[0-9]{1,9})")


def split(name: str) -> tuple[str, str, str]:
    """The attribute that a name is about, `~`, `@` or nothing, and the page that it asks for."""
    match = _PAGED.fullmatch(name)
    return (match["name"], match["way"], match["page"]) if match else (name, "", "")


def page(value: bytes, way: str, wanted: str) -> bytes | None:
    """What is asked for of a value; None where there is no such page. Without a `way`: the first, if there are many."""
    found = _pages(value)
    if not way:
        return value if len(found) == 1 else _headed(found, 0)
    if wanted == "?":
        if way == "~":
            return b"num_pages, %d" % len(found)
        return b"%d pages: NAME~N gives page N as it is, NAME@N with a line about it\nPages available: %d" % (
            len(found),
            len(found),
        )
    index = int(wanted)
    if index >= len(found):
        return None if way == "~" else b"There is no page %d; there are %d, the first is 0" % (index, len(found))
    return found[index] if way == "~" else _headed(found, index)


def _headed(pages: list[bytes], index: int) -> bytes:
    return (
        b"# Page %d of %d, the first is 0 (NAME~N gives page N, NAME~? their number)\n"
        % (
            index,
            len(pages),
        )
        + pages[index]
    )


def _pages(value: bytes) -> list[bytes]:
    """Cut behind lines, where a line fits into a page."""
    found: list[bytes] = []
    while len(value) > PAGE:
        end = value.rfind(b"\n", 0, PAGE) + 1 or PAGE
        found.append(value[:end])
        value = value[end:]
    return [*found, value]
