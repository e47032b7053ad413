"""Variant symlinks: `$(NAME)` and `$(NAME:-default)` in a target come from the client's environment.

Source: original.md 6. The name ends at the first `)`, a default cannot nest, an unterminated form stays as it is, and
`$(A-b)` is simply an unknown name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(rb"\$\(([^)]*)\)")


def expand(target: bytes, environment: Mapping[str, str]) -> bytes:
    """The target as a reader sees it; it can become empty."""
    if b"$(" not in target:
        return target

    def value(match: re.Match[bytes]) -> bytes:
        name, separator, default = match[1].partition(b":-")
        found = environment.get(name.decode("utf-8", "surrogateescape"))
        if found is None:
            return default if separator else b""
        return found.encode("utf-8", "surrogateescape")

    return _VARIABLE.sub(value, target)
