"""Paths as programs give them, and as repositories have them: text, and bytes."""

from __future__ import annotations

import os
from typing import TypeAlias

from swrepo.format.paths import ROOT

AnyPath: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"


def raw(path: AnyPath) -> bytes:
    """The bytes of a path, from the root; surrogates become the bytes that they stand for. ValueError for a NUL."""
    given = os.fspath(path)
    found = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else given
    if b"\0" in found:
        raise ValueError(f"a path holds no NUL: {given!r}")
    return found


def rooted(path: AnyPath) -> bytes:
    """The same as the repository writes it where no dots or double slashes are in it: `b"/a/b"`, or `b""`."""
    found = raw(path).strip(b"/")
    return b"/" + found if found else ROOT


def text(path: bytes) -> str:
    """A name or path for programs; bytes that are no UTF-8 become surrogates."""
    return path.decode("utf-8", "surrogateescape")
