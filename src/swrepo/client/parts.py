"""Which parts of a repository are meant: paths with wildcards, as in a `.cvmfsdirtab`.

`/path` stands for all below it, `*`, `?` and `[...]` for anything within one name; a line that begins with `!` takes
out again what it matches. Empty lines and those that begin with `#` say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import escape
from itertools import starmap

from swrepo.format.paths import normalise

Names = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is included, less what is excluded; each pattern is the names of a path. Without patterns: everything.

    `met` collects the included patterns that some path matched.
    """

    included: tuple[Names, ...] = ((),)
    excluded: tuple[Names, ...] = ()
    met: set[Names] = field(default_factory=set, compare=False)

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Parts:
        """Read the lines of such a file. UsageError where one is no path."""
        included: list[Names] = []
        excluded: list[Names] = []
        for line in lines:
            text = line.strip()
            if not text or text.startswith(b"#"):
                continue
            pattern = normalise(text.removeprefix(b"!").strip())
            (excluded if text.startswith(b"!") else included).append(_names(pattern))
        return cls(tuple(included) or ((),), tuple(excluded))

    @classmethod
    def below(cls, path: bytes) -> Parts:
        """What is at that very path, whatever characters its names have, and below it."""
        return cls((_names(escape(path)),))

    @property
    def unmet(self) -> list[bytes]:
        """The included patterns that nothing matched yet."""
        return [b"/" + b"/".join(pattern) for pattern in self.included if pattern and pattern not in self.met]

    def takes(self, path: bytes) -> bool:
        """Whether a path is meant."""
        names = _names(path)
        found = [pattern for pattern in self.included if _covers(pattern, names)]
        self.met.update(found)
        return bool(found) and not self._is_out(names)

    def leads_to(self, path: bytes) -> bool:
        """Whether a path is meant, or something below it may be."""
        names = _names(path)
        if self._is_out(names):
            return False
        return any(_covers(pattern[: len(names)], names) for pattern in self.included)

    def _is_out(self, names: Names) -> bool:
        return any(_covers(pattern, names) for pattern in self.excluded)


EVERYTHING = Parts()


def _names(path: bytes) -> Names:
    return tuple(path.split(b"/")[1:]) if path else ()


def _covers(pattern: Names, names: Names) -> bool:
    """Whether the pattern matches the path, or a directory that it is in."""
    return len(pattern) <= len(names) and all(starmap(fnmatchcase, zip(names, pattern, strict=False)))
