"""What lies near an opened file and will be wanted soon: pure policy for links where asking costs more than bytes.

Programs are packages: files of one kind in a directory, and directories beside and below it. Each directory that is
touched has two fronts: its files of the kind that was opened, and the directories in it. A package is fetched whole;
of a larger collection a few, and two more for each that is wanted indeed. The account bounds what is fetched in vain.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from swrepo.format.object_id import ObjectId
from swrepo.format.paths import parent
from swrepo.mount.ahead_account import UNIT, Account
from swrepo.objects.store import Want

_FEW = 32
"""Files of one kind that are a package: the first of them wants all."""

_AT_ONCE = 384 << 10
"""Plain bytes of a larger collection that are fetched with each one that somebody opens."""

_AT_MOST, _FOR_ONE = 16, 16
"""Files of a larger collection that are fetched with each one that somebody opens: that many, or one for so much that
the account holds."""

_OF_A_DIRECTORY = 256 << 10
"""Plain bytes of one directory that nobody has touched yet."""

_UNPROVEN, _FOR_EACH = 4, 3
"""Directories of a place that are looked into before any of them was used, and more for each that was."""

_PROBED = 48
"""Directories of a place of which the file is fetched with which programs begin."""

_SMALL = 64 << 10
_DENSE = 0.5
"""Part of the files fetched ahead in a directory that must have been used for those below it to be fetched, too."""

_PLACES = 4096
_UNLIMITED = 1 << 62
_BYTES_PER_SECOND = 40e6
"""Plain bytes that an ordinary link brings in a second, three times over: larger files are worth no guess."""

_SELDOM = frozenset({b"test", b"tests", b"testing", b"doc", b"docs", b"examples", b"share", b"man"})
"""Directories that programs do not start with."""

_SAME_KIND = 2
"""Files of a kind that must have been opened before that kind is looked for where nobody has been yet."""


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


def price(size: int) -> float:
    """What a file takes from the account: over a long link hardly more than its bytes."""
    return 0.25 + size / UNIT


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


class Neighbours:
    """For one thread at a time. `patience`: seconds that fetching a small object takes at the moment."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._places: OrderedDict[bytes, _Place] = OrderedDict()
        self._paid: OrderedDict[ObjectId, float] = OrderedDict()
        self._kinds: Counter[bytes] = Counter()
        self._names: OrderedDict[bytes, None] = OrderedDict()

    def opened(
        self, package: bytes, name: bytes, want: Want | None, size: int, around: Surroundings, patience: float
    ) -> list[Want]:
        """A file of a package was opened that was fetched ahead, or had to be waited for: what to fetch now."""
        paid = self._paid.pop(want.id, None) if want is not None else None
        self._account.earn(paid or 0.0, price(size))
        of_kind = kind(name)
        self._kinds[of_kind] += 1
        largest = int(patience * _BYTES_PER_SECOND)
        chosen: list[Want] = []
        place = self._place(package, name, around)
        if place is None:
            return chosen
        is_first = not place.opened
        place.opened += 1
        front = place.front(of_kind)
        front.right += paid is not None
        chosen += self._of_front(front, largest, name)
        chosen += self._beside(package, of_kind, around, largest)
        above = self._place(parent(package), None, around) if is_first and package else None
        if is_first:
            chosen += self._of_that_name(place, name, around, largest)
        if above is not None:
            above.touch(package)
            chosen += self._of_that_name(above, name, around, largest)
            chosen += self._of_directories(above, around, largest)
        self._names[name] = None
        if len(self._names) > _PLACES:
            self._names.popitem(last=False)
        chosen += self._of_directories(place, around, largest)
        return chosen

    def was_here(self, object_id: ObjectId) -> None:
        """What was chosen was here already, or could not be had: that cost nothing."""
        paid = self._paid.pop(object_id, None)
        if paid is not None:
            self._account.refund(paid)

    def stop(self) -> None:
        """Forget all: there is another revision, or fetching fails."""
        self._places.clear()
        self._paid.clear()

    def _place(self, package: bytes, name: bytes | None, around: Surroundings) -> _Place | None:
        found = self._places.get(package)
        if found is None:
            listed = around.directory(package, name)
            if listed is None:
                return None
            found = self._places[package] = _Place(listed)
            if len(self._places) > _PLACES:
                self._places.popitem(last=False)
        self._places.move_to_end(package)
        return found

    def _of_front(self, front: _Front, largest: int, opened: bytes | None) -> list[Want]:
        """The next files of a kind: all where they are few, else a few more than prove to be right."""
        front.turn_to(opened)
        if len(front.files) <= _FEW and front.size <= 2 * largest:
            return self._take(front, len(front.files), largest)
        front.allowed += int(min(_AT_MOST, self._account.credit / _FOR_ONE))
        return self._take(front, front.allowed + 2 * front.right - front.guessed, largest, _AT_ONCE)

    def _of_directories(self, place: _Place, around: Surroundings, largest: int) -> list[Want]:
        """Files of the next directories of a place, of the kinds that are opened these days."""
        chosen: list[Want] = []
        for path in place.next_directories():
            inner = self._place(path, None, around)
            room = _OF_A_DIRECTORY * (4 if place.is_dense else 1)
            for front in () if inner is None else inner.of_kinds(self._kinds):
                if front.size <= room:
                    room -= front.size
                    chosen += self._take(front, len(front.files), largest)
        return chosen

    def _of_that_name(self, place: _Place, name: bytes, around: Surroundings, largest: int) -> list[Want]:
        """The file with which programs begin to use a directory, of all directories of a place."""
        chosen: list[Want] = []
        if name in self._names and not place.is_probed:
            place.is_probed = True
            for path in place.untouched[:_PROBED]:
                inner = self._place(path, None, around)
                if inner is not None:
                    front = inner.front(kind(name))
                    found = _Front([file for file in front.files if file.name == name and file.size <= _SMALL])
                    if found.files:
                        chosen += self._take(found, 1, largest)
                        front.files = [file for file in front.files if file.name != name]
        return chosen

    def _beside(self, package: bytes, of_kind: bytes, around: Surroundings, largest: int) -> list[Want]:
        """The libraries that come with a package, in a directory beside it: `numpy.libs`."""
        chosen: list[Want] = []
        while of_kind == b".so" and package:
            above = self._places.get(parent(package))
            if above is not None and package + b".libs" in above.untouched:
                above.untouched.remove(package + b".libs")
                libraries = self._place(package + b".libs", None, around)
                if libraries is not None:
                    chosen += self._of_front(libraries.front(of_kind), 8 * largest, None)
            package = parent(package)
        return chosen

    def _take(self, front: _Front, count: int, largest: int, room: int = _UNLIMITED) -> list[Want]:
        """Pay for the next files of a front, up to `room` plain bytes; those that are too large or too dear stay."""
        chosen: list[Want] = []
        left: list[File] = []
        for file in front.files[: max(0, count)]:
            cost = price(file.size)
            if file.size > min(largest, room) or not self._account.can_pay(cost):
                left.append(file)
                continue
            room -= file.size
            self._account.pay(cost)
            for want in file.wants:
                self._paid[want.id] = cost / len(file.wants)
                chosen.append(want)
        front.files = left + front.files[max(0, count) :]
        front.guessed += len(chosen)
        while len(self._paid) > 16 * _PLACES:
            self._paid.popitem(last=False)
        return chosen


@dataclass(slots=True)
class _Front:
    """Files that were not fetched ahead yet."""

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


class _Place:
    """A package that was looked at."""

    __slots__ = ("fronts", "guessed", "is_probed", "opened", "right", "untouched")

    def __init__(self, listed: Directory) -> None:
        self.fronts: dict[bytes, _Front] = {}
        for file in listed.files:
            self.front(kind(file.name)).files.append(file)
        self.untouched = [path for path in listed.directories if path.rpartition(b"/")[2] not in _SELDOM]
        self.guessed: set[bytes] = set()
        self.right = 0
        self.is_probed = False
        self.opened = 0

    def touch(self, directory: bytes) -> None:
        """Somebody opened a file in one of the directories."""
        if directory in self.guessed:
            self.right += 1
        elif directory in self.untouched:
            self.untouched.remove(directory)

    def next_directories(self) -> list[bytes]:
        """Those to look into now: a few more than prove to be right."""
        if self.opened < _SAME_KIND:
            return []
        count = len(self.untouched) if self.is_dense else _UNPROVEN + _FOR_EACH * self.right - len(self.guessed)
        taken, self.untouched = self.untouched[: max(0, count)], self.untouched[max(0, count) :]
        self.guessed.update(taken)
        return taken

    @property
    def is_dense(self) -> bool:
        """Whether most of what is here is used."""
        right = sum(front.right for front in self.fronts.values())
        return right >= _SAME_KIND and right >= _DENSE * sum(front.guessed for front in self.fronts.values())

    def of_kinds(self, kinds: Counter[bytes]) -> list[_Front]:
        """The fronts of those kinds of files that are opened again and again."""
        return [front for of_kind, front in self.fronts.items() if kinds[of_kind] >= _SAME_KIND]

    def front(self, of_kind: bytes) -> _Front:
        return self.fronts.setdefault(of_kind, _Front())
