"""Which files are stored as they are, though the repository compresses: those of certain names, and those that
compression does not make smaller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import translate

from swrepo.errors import ConfigError
from swrepo.format.compression import Compression
from swrepo.publish.encoder import Encoder

SAMPLE = 128 << 10
"""Bytes of a file's beginning by which it is judged."""

_WORTH = 0.95
"""Compression that leaves more than this part of a file is not worth the readers' time."""

_SMALLEST = 4096
"""Bytes. Smaller files are compressed in any case: there is nothing to gain."""


@dataclass(frozen=True, slots=True)
class Packing:
    """`as_is`: patterns of names (`*.jpg`), or of paths, which begin with a slash (`/data/*`; `*` takes slashes too).

    `by_content`: look whether compression is worth while.
    """

    as_is: tuple[str, ...] = ()
    by_content: bool = False

    def __post_init__(self) -> None:
        for pattern in self.as_is:
            if "/" in pattern and not pattern.startswith("/"):
                raise ConfigError(f"{pattern!r} is neither the pattern of a name nor that of a path (/...)")

    @property
    def signature(self) -> str:
        """Equal for those that decide equally."""
        return f"{' '.join(self.as_is)} {self.by_content}"


class Packer:
    """The encoder for each file. Safe from any thread."""

    def __init__(self, encoder: Encoder, packing: Packing) -> None:
        self.encoder = encoder
        self._plain = replace(encoder, compression=Compression.NONE)
        names = [item for item in packing.as_is if not item.startswith("/")]
        self._names = _any(names)
        self._paths = _any([item for item in packing.as_is if item.startswith("/")])
        self._fits_nothing = not packing.as_is
        self._by_content = packing.by_content
        self._compresses = encoder.compression is not Compression.NONE

    def for_path(self, path: bytes) -> Encoder:
        """By the name alone."""
        if not self._compresses or self._fits_nothing:
            return self.encoder
        name = path.rpartition(b"/")[2]
        fits = (self._names is not None and self._names.match(name)) or (
            self._paths is not None and self._paths.match(path)
        )
        return self._plain if fits else self.encoder

    def for_content(self, encoder: Encoder, start: bytes) -> Encoder:
        """The same or, where its content should be stored as it is, one that does so; `start` is its beginning."""
        if not self._by_content or encoder.compression is Compression.NONE or len(start) < _SMALLEST:
            return encoder
        sample = start[:SAMPLE]
        return self._plain if len(encoder.encode(sample)) > _WORTH * len(sample) else encoder


def _any(patterns: Sequence[str]) -> re.Pattern[bytes] | None:
    if not patterns:
        return None
    return re.compile("|".join(translate(pattern) for pattern in patterns).encode("utf-8", "surrogateescape"))
