"""Directories that programs were seen in: which of their files and subdirectories were not fetched ahead yet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from swrepo.format.paths import parent
from swrepo.objects.store import Want

SAME_KIND = 2
"""Files of a kind that must have been opened before that kind is looked for where nobody has been yet."""

_UNPROVEN, _FOR_EACH = 4, 3
"""Directories of a place that are looked into before any of them was used, and more for each that was."""

_LOOKS = 8
"""Directories that are looked into at a time: whoever waits for the thread that looks waits 40 ms at most."""

_SISTERS = 24
_PROBED, _FOR_EACH_BEGUN = 48, 8
"""Directories of a place of which the files are fetched with which programs begin, and more for each that was used."""

_DENSE = 0.5
"""Part of the files fetched ahead in a directory that must have been used for those below it to be fetched, too."""

_SELDOM = frozenset({b"test", b"tests", b"testing", b"doc", b"docs", b"examples", b"share", b"man"})
"""Directories that programs do not start with."""


class File(NamedTuple):
    """A file nearby: its objects, and the plain bytes of all."""

    name: bytes
    wants: tuple[Want, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What lies in a package, in the order of its listing; of a long one, what follows the opened file."""

    files: tuple[File, ...] = ()
    directories: tuple[bytes, ...] = ()
    """Their paths."""


class Surroundings(Protocol):
    """The tree around the files that are opened."""

    def directory(self, package: bytes, after: bytes | None) -> Directory | None:
        """What lies in it, following the entry `after` where there are too many; None where that is not known here."""
        ...

    def file(self, package: bytes, name: bytes) -> File | None:
        """The file of that name in it; None where there is none, or that is not known here."""
        ...


def kind(name: bytes) -> bytes:
    """What files of one purpose have in common in their names: `.js`, `.cpython-311.pyc`, `.so` with any number."""
    stem, dot, rest = name.partition(b".")
    if not dot or not stem:
        return b""
    if rest == b"so" or rest.startswith(b"so.") or name.endswith(b".so"):
        return b".so"
    parts = [part for part in rest.split(b".") if not part[:1].isdigit()]
    return b"." + b".".join(parts[-2:]) if parts else b""


def package_of(directory: bytes) -> bytes:
    """Where the files of a directory belong: compiled modules to the directory above."""
    return parent(directory) if directory.endswith(b"/__pycache__") else directory


@dataclass(slots=True)
class Front:
    """Files of one kind that were not fetched ahead yet; how many were, and how many of those were opened.

    `allowed`: how many may be, of a collection, whether or not others proved to be right.
    """

    files: list[File] = field(default_factory=list)
    guessed: int = 0
    right: int = 0
    allowed: int = 0

    @property
    def size(self) -> int:
        """Plain bytes of all."""
        return sum(file.size for file in self.files)

    def turn_to(self, opened: bytes | None) -> None:
        """Go on behind the one that was opened, which needs no fetching any more."""
        for index, file in enumerate(self.files):
            if file.name == opened:
                self.files = self.files[index + 1 :] + self.files[:index]
                return

    def take(self, count: int, is_taken: Callable[[File], bool]) -> None:
        """Of the next `count` files let go of those that `is_taken` says yes to, which it is asked in order."""
        looked_at = self.files[: max(0, count)]
        left = [file for file in looked_at if not is_taken(file)]
        self.files = left + self.files[len(looked_at) :]
        self.guessed += len(looked_at) - len(left)


class Place:
    """A package that was looked at. `opened`: files in it that somebody opened, guessed or not."""

    __slots__ = ("begun", "fronts", "guessed", "opened", "probed", "right", "sisters", "untouched")

    def __init__(self, listed: Directory) -> None:
        self.fronts: dict[bytes, Front] = {}
        for file in listed.files:
            self.front(kind(file.name)).files.append(file)
        self.untouched = [path for path in listed.directories if path.rpartition(b"/")[2] not in _SELDOM]
        self.guessed: set[bytes] = set()
        self.right = 0
        self.sisters = list(self.untouched)
        self.probed: set[bytes] = set()
        self.begun = 0
        self.opened = 0

    def front(self, of_kind: bytes) -> Front:
        """Its files of that kind."""
        return self.fronts.setdefault(of_kind, Front())

    def of_kinds(self, kinds: Counter[bytes]) -> list[Front]:
        """The fronts of those kinds of files that are opened again and again."""
        return [front for of_kind, front in self.fronts.items() if kinds[of_kind] >= SAME_KIND]

    def touch(self, directory: bytes) -> None:
        """Somebody opened a file in one of the directories."""
        if directory in self.probed:
            self.begun += 1
        elif directory in self.sisters:
            self.sisters.remove(directory)
        if directory in self.guessed:
            self.right += 1
        elif directory in self.untouched:
            self.untouched.remove(directory)

    def next_directories(self) -> list[bytes]:
        """Those to look into now: a few more than prove to be right, where the place is dense one after another."""
        if self.opened < SAME_KIND:
            return []
        count = _LOOKS if self.is_dense else _UNPROVEN + _FOR_EACH * self.right - len(self.guessed)
        count = min(_LOOKS, max(0, count))
        taken, self.untouched = self.untouched[:count], self.untouched[count:]
        self.guessed.update(taken)
        return taken

    def next_sisters(self) -> list[bytes]:
        """Those of which the files are to be fetched now with which programs begin."""
        count = min(_SISTERS, max(0, _PROBED + _FOR_EACH_BEGUN * self.begun - len(self.probed)))
        taken, self.sisters = self.sisters[:count], self.sisters[count:]
        self.probed.update(taken)
        return taken

    @property
    def is_dense(self) -> bool:
        """Whether most of what is here is used."""
        right = sum(front.right for front in self.fronts.values())
        return right >= SAME_KIND and right >= _DENSE * sum(front.guessed for front in self.fronts.values())
