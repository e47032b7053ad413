"""What lies near an opened file and will be wanted soon: pure policy for links where asking costs more than bytes.

Programs are packages: files of one kind in a directory, and directories beside and below it. Each directory that is
touched has two fronts: its files of the kind that was opened, and the directories in it. A package is fetched whole;
of a larger collection a few, and two more for each that is wanted indeed. The account bounds what is fetched in vain.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from swrepo.format.object_id import ObjectId
from swrepo.format.paths import join, parent
from swrepo.mount.ahead_account import UNIT, Account, Odds, Trust
from swrepo.mount.ahead_beginnings import Beginning, Beginnings
from swrepo.mount.ahead_places import File, Front, Place, Surroundings, kind
from swrepo.mount.ahead_recent import Recent
from swrepo.objects.store import Want

_FEW = 32
"""Files of one kind that are a package: the first of them wants all."""

_AT_ONCE = 384 << 10
"""Plain bytes of a larger collection that are fetched with each one that somebody opens."""

_AT_MOST, _FOR_ONE = 16, 16
"""Files of a larger collection that are fetched with each one that somebody opens: that many, or one for so much that
the account holds."""

FIRST_OF_A_KIND, _FOR_RIGHT = 64.0, 6.0
"""Files of one kind, 4 MiB of them, are guessed before any proved to be right; then for each that did so many times its
size. So guessing ends where fewer than one in six is right."""

_FIRST_NAMED = 160.0
"""The same of files that others name, which are right more often than not."""

_PUT_OFF = 512
"""Files that are named and too dear at the moment, which are looked at again."""

_UNPROVEN = 64
"""Files of a collection that are fetched before one in `_ONE_IN` proved to be right."""

_ONE_IN = 8

_OF_A_DIRECTORY = 256 << 10
"""Plain bytes of one directory that nobody has touched yet; four times that where the directory above is dense."""

_SMALL = 64 << 10
_REMEMBERED = 4096
"""Places that are remembered; 16 times that of the objects that were paid for."""

_NAMED = b"named "
"""Before the kind of a file that another one names: whether such guesses are right says nothing of others."""

_UNLIMITED = 1 << 62
_BYTES_PER_SECOND = 40e6
"""Plain bytes that an ordinary link brings in a second, three times over: larger files are worth no guess."""


def price(size: int) -> float:
    """What a file takes from the account: over a long link hardly more than its bytes."""
    return 0.25 + size / UNIT


class _Paid(NamedTuple):
    """What an object cost that nobody wanted yet, and the kind of its file; what it is worth, if another names it."""

    price: float
    kind: bytes
    worth: float


_NOTHING = _Paid(0.0, b"", 0.0)


class Neighbours:
    """For one thread at a time. `patience`: seconds that fetching a small object takes at the moment."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._places: OrderedDict[bytes, Place] = OrderedDict()
        self._trust = Trust(FIRST_OF_A_KIND, _FOR_RIGHT)
        self._odds = Odds()
        self._put_off: list[File] = []
        self._trust_in_names = Trust(_FIRST_NAMED, _FOR_RIGHT)
        self._paid: OrderedDict[ObjectId, _Paid] = OrderedDict()
        self._kinds: Counter[bytes] = Counter()
        self._beginnings = Beginnings()
        self._wanted: Recent[ObjectId] = Recent(_REMEMBERED)

    def wanted(self, want: Want) -> None:
        """Somebody wanted an object that was chosen here, or had to be waited for. Of some it is told several times."""
        if self._wanted.add(want.id):
            paid = self._paid.pop(want.id, _NOTHING)
            self._account.earn(paid.price, price(want.size or 0))
            self._odds.right += paid.worth
            self._trust_in(paid.kind).earn(paid.kind, paid.price)

    def opened(
        self, package: bytes, name: bytes, around: Surroundings, patience: float, *, was_guessed: bool
    ) -> list[Want]:
        """A file of a package was opened that was chosen here, or had to be waited for: what to fetch now."""
        of_kind = kind(name)
        self._count(of_kind)
        largest = int(patience * _BYTES_PER_SECOND)
        place = self._place(package, name, around)
        if place is None:
            return []
        is_first = not place.opened
        place.opened += 1
        front = place.front(of_kind)
        front.right += was_guessed
        chosen = self._of_front(front, largest, name)
        chosen += self._beside(package, of_kind, around, largest)
        if is_first:
            chosen += self._begins(package, self._beginnings.usual(), around, largest)
            chosen += self._of_sisters(place, name, around, largest)
        above = self._place(parent(package), None, around) if is_first and package else None
        if above is not None:
            above.touch(package)
            chosen += self._of_sisters(above, name, around, largest)
            chosen += self._of_directories(above, around, largest)
        self._beginnings.note(package, name)
        chosen += self._of_directories(place, around, largest)
        return chosen

    def named(self, files: list[File], patience: float) -> list[Want]:
        """Files that an opened one names, or one that is fetched: what of them, and of earlier ones, to fetch now."""
        front = Front([file for file in files + self._put_off if not self._is_settled(file)])
        chosen = self._take(front, len(front.files), int(patience * _BYTES_PER_SECOND), sort=_NAMED)
        self._put_off = front.files[:_PUT_OFF]
        return chosen

    def _is_settled(self, file: File) -> bool:
        """Whether all of it is here, or on its way."""
        return all(want.id in self._paid or want.id in self._wanted for want in file.wants)

    def was_here(self, object_id: ObjectId) -> None:
        """What was chosen was here already, or could not be had: that cost nothing."""
        paid = self._paid.pop(object_id, _NOTHING)
        self._account.refund(paid.price)
        self._odds.guessed -= paid.worth
        self._trust_in(paid.kind).refund(paid.kind, paid.price)

    def stop(self) -> None:
        """Forget all: there is another revision, or fetching fails."""
        self._places.clear()
        self._put_off.clear()
        self._paid.clear()

    def _trust_in(self, sort: bytes) -> Trust:
        return self._trust_in_names if sort.startswith(_NAMED) else self._trust

    def _count(self, of_kind: bytes) -> None:
        self._kinds[of_kind] += 1
        if len(self._kinds) > _REMEMBERED:  # names that end in numbers, for one: none of them is a kind
            self._kinds = Counter(dict(self._kinds.most_common(_REMEMBERED // 2)))

    def _place(self, package: bytes, name: bytes | None, around: Surroundings) -> Place | None:
        found = self._places.get(package)
        if found is None:
            listed = around.directory(package, name)
            if listed is None:
                return None
            found = self._places[package] = Place(listed)
            if len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)
        self._places.move_to_end(package)
        return found

    def _of_front(self, front: Front, largest: int, opened: bytes | None) -> list[Want]:
        """The next files of a kind: all where they are few, else a few more than prove to be right."""
        front.turn_to(opened)
        if len(front.files) <= _FEW and front.size <= 2 * largest:
            return self._take(front, len(front.files), largest)
        if front.guessed < _UNPROVEN or front.right * _ONE_IN >= front.guessed:
            front.allowed += int(min(_AT_MOST, self._account.credit / _FOR_ONE))
        return self._take(front, front.allowed + 2 * front.right - front.guessed, largest, _AT_ONCE)

    def _of_directories(self, place: Place, around: Surroundings, largest: int) -> list[Want]:
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

    def _of_sisters(self, place: Place, name: bytes, around: Surroundings, largest: int) -> list[Want]:
        """The files with which programs begin to use a directory, of the next directories of a place."""
        usual = self._beginnings.usual()
        if Beginning(b"", name) not in usual:
            return []
        chosen: list[Want] = []
        for path in place.next_sisters():
            chosen += self._begins(path, usual, around, largest)
        return chosen

    def _begins(
        self, package: bytes, beginnings: Iterable[Beginning], around: Surroundings, largest: int
    ) -> list[Want]:
        found = [around.file(join(package, one.below) if one.below else package, one.name) for one in beginnings]
        front = Front([file for file in found if file is not None and file.size <= _SMALL])
        return self._take(front, len(front.files), largest)

    def _beside(self, package: bytes, of_kind: bytes, around: Surroundings, largest: int) -> list[Want]:
        """The libraries that come with a package, in a directory beside it: `numpy.libs`."""
        chosen: list[Want] = []
        for path in _upwards(package) if of_kind == b".so" else ():
            above, beside = self._places.get(parent(path)), path + b".libs"
            if above is not None and beside in above.untouched:
                above.untouched.remove(beside)
                libraries = self._place(beside, None, around)
                if libraries is not None:
                    chosen += self._of_front(libraries.front(of_kind), 8 * largest, None)
        return chosen

    def _take(self, front: Front, count: int, largest: int, room: int = _UNLIMITED, sort: bytes = b"") -> list[Want]:
        """Pay for the next files of a front, up to `room` plain bytes; those that are too large or too dear stay."""
        chosen: list[Want] = []

        def pay(file: File) -> bool:
            nonlocal room
            worth = price(file.size) if sort else 0.0
            cost = worth * self._odds.doubt if sort else price(file.size)
            of_kind = sort + kind(file.name)
            if file.size > min(largest, room) or not self._account.can_pay(cost):
                return False
            if not self._trust_in(of_kind).can_pay(of_kind, cost):
                return False
            room -= file.size
            for want in file.wants:
                if want.id not in self._paid and want.id not in self._wanted:  # else it is here, or on its way
                    paid = self._paid[want.id] = _Paid(cost / len(file.wants), of_kind, worth / len(file.wants))
                    self._account.pay(paid.price)
                    self._trust_in(of_kind).pay(of_kind, paid.price)
                    self._odds.guessed += paid.worth
                    chosen.append(want)
            return True

        front.take(count, pay)
        while len(self._paid) > 16 * _REMEMBERED:
            self._paid.popitem(last=False)
        return chosen


def _upwards(path: bytes) -> Iterator[bytes]:
    """A directory, and those that it lies in, but for the root."""
    while path:
        yield path
        path = parent(path)
