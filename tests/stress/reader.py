"""One program of the stress test: `python reader.py MOUNT CLOCK SEED` reads until the end and compares every byte.

Whatever is seen must be that of one revision, no older than the one that the mount had announced before, no newer than
the last whose publication had begun. The last line is a count of what was done; the exit code 1 says what was wrong.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import random
import stat
import struct
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.stress import content
from tests.stress.clock import Clock

_HELD = 6
_libc = ctypes.CDLL(None, use_errno=True)


class Wrong(Exception):
    """Something was seen that no revision has."""


@dataclass
class HeldFile:
    """A file that stays open: what it showed at first, it goes on to show."""

    path: bytes
    descriptor: int
    data: bytes
    status: os.stat_result


@dataclass
class HeldListing:
    """A listing that was begun, with the revisions that it may be of."""

    descriptor: int
    names: list[bytes]
    possible: frozenset[int]


class Reader:
    """Does one thing after the other, at random."""

    def __init__(self, top: bytes, clock: Clock, seed: int) -> None:
        self.top = top
        self.clock = clock
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.files: list[HeldFile] = []
        self.listings: list[HeldListing] = []
        # Held, so that the kernel does not forget them: then their numbers stay.
        self.stable = {path: os.open(top + path, os.O_PATH) for path in content.STABLE}
        self.numbers = {path: os.fstat(descriptor).st_ino for path, descriptor in self.stable.items()}

    def run(self) -> None:
        actions: list[Callable[[], None]] = [
            self.read_whole, self.read_pieces, self.read_mapping, self.look, self.hold_file, self.check_held_file,
            self.list_big, self.hold_listing, self.go_on_listing, self.list_directories, self.follow_link, self.see_shape,
            self.drop_pages,
        ]  # fmt: skip
        while not self.clock.is_over:
            action = self.random.choice(actions)
            action()
            self.done[action.__name__] += 1
        while self.listings:
            self.go_on_listing()
        while self.files:
            self.check_held_file()
            os.close(self.files.pop().descriptor)

    # Files

    def read_whole(self) -> None:
        path = self.any_file()
        lowest = self.clock.shown
        descriptor = os.open(self.top + path, os.O_RDONLY)
        self.check_bytes(path, _read_all(descriptor), lowest)
        os.close(descriptor)

    def read_pieces(self) -> None:
        path = self.any_file()
        lowest = self.clock.shown
        descriptor = os.open(self.top + path, os.O_RDONLY)
        size = os.fstat(descriptor).st_size
        pieces = {}
        for offset in range(0, size + 1, 10_007):
            pieces[offset] = None
        for offset in self.random.sample(list(pieces), len(pieces)):
            pieces[offset] = os.pread(descriptor, 10_007, offset)
        os.close(descriptor)
        self.check_bytes(path, b"".join(pieces.values()), lowest)

    def read_mapping(self) -> None:
        path = self.any_file()
        lowest = self.clock.shown
        with open(self.top + path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
                data = mapping[:]
        self.check_bytes(path, data, lowest)

    def look(self) -> None:
        path = self.any_file()
        lowest = self.clock.shown
        found = os.stat(self.top + path)
        versions = self.versions(path, lowest)
        if found.st_size not in {len(content.content(path, version)) for version in versions}:
            raise Wrong(f"{path!r} has {found.st_size} bytes, which it has in none of {versions}")
        if path in self.numbers and found.st_ino != self.numbers[path]:
            raise Wrong(f"{path!r}, which never changes, had number {self.numbers[path]} and has {found.st_ino}")

    def hold_file(self) -> None:
        if len(self.files) >= _HELD:
            os.close(self.files.pop(self.random.randrange(_HELD)).descriptor)
        path = self.any_file()
        lowest = self.clock.shown
        descriptor = os.open(self.top + path, os.O_RDONLY)
        data = _read_all(descriptor)
        self.check_bytes(path, data, lowest)
        self.files.append(HeldFile(path, descriptor, data, os.fstat(descriptor)))

    def check_held_file(self) -> None:
        if self.files:
            held = self.random.choice(self.files)
            if _read_all(held.descriptor) != held.data:
                raise Wrong(f"{held.path!r} has other bytes than when it was opened")
            if os.fstat(held.descriptor) != held.status:
                raise Wrong(f"{held.path!r} has other attributes than when it was opened: {os.fstat(held.descriptor)}")

    def drop_pages(self) -> None:
        """The next who reads this file asks the mount."""
        descriptor = os.open(self.top + self.any_file(), os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)

    # Directories and links

    def list_big(self) -> None:
        lowest = self.clock.shown
        names = os.listdir(self.top + content.BIG)
        self.check_names(names, range(lowest, self.clock.begun + 1))

    def hold_listing(self) -> None:
        if len(self.listings) >= _HELD:
            return
        lowest = self.clock.shown
        descriptor = os.open(self.top + content.BIG, os.O_RDONLY | os.O_DIRECTORY)
        names = _names(descriptor, 2048)
        self.listings.append(HeldListing(descriptor, names, frozenset(range(lowest, self.clock.begun + 1))))

    def go_on_listing(self) -> None:
        if not self.listings:
            return
        held = self.random.choice(self.listings)
        more = _names(held.descriptor, 6000)
        held.names += more
        if not more:
            self.listings.remove(held)
            os.close(held.descriptor)
            self.check_names([name for name in held.names if name not in (b".", b"..")], held.possible)
            self.done["listings that were held"] += 1

    def list_directories(self) -> None:
        lowest = self.clock.shown
        names = frozenset(os.listdir(self.top + content.SUBDIRECTORIES))
        if names not in {content.subdirectories(revision) for revision in range(lowest, self.clock.begun + 1)}:
            raise Wrong(f"the directories {sorted(names)} are those of no revision")
        name = self.random.choice(sorted(names))
        path = self.top + content.SUBDIRECTORIES + b"/" + name
        try:
            if os.listdir(path) != [name] or Path(os.fsdecode(path + b"/" + name)).read_bytes() != name:
                self.must_be_gone(name, path)
        except (FileNotFoundError, NotADirectoryError):
            self.must_be_gone(name, path)

    def must_be_gone(self, name: bytes, path: bytes) -> None:
        if name in content.subdirectories(self.clock.begun):
            raise Wrong(f"{path!r} is not what it is in every revision")

    def follow_link(self) -> None:
        lowest = self.clock.shown
        found = os.readlink(self.top + content.LINK)
        if found not in {content.target(revision) for revision in range(lowest, self.clock.begun + 1)}:
            raise Wrong(f"the link leads to {found!r}; revision {lowest} was shown, {self.clock.begun} begun")

    def see_shape(self) -> None:
        lowest = self.clock.shown
        path = self.top + content.SHAPES
        try:
            kind = stat.S_IFMT(os.lstat(path).st_mode)
            if kind == stat.S_IFREG:
                shown = Path(os.fsdecode(path)).read_bytes()
            elif kind == stat.S_IFDIR:
                shown = Path(os.fsdecode(path + b"/inside")).read_bytes()
            else:
                shown = os.readlink(path)
        except OSError as error:  # it became something else between two calls
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL) and self.clock.begun > lowest:
                return
            raise
        possible = range(lowest, self.clock.begun + 1)
        if shown.isdigit() and int(shown) in possible and content.shape(int(shown)) in (kind, stat.S_IFREG):
            return
        if len(possible) == 1:
            raise Wrong(f"{path!r} of kind {kind:o} says {shown!r}; revisions {possible}")

    # Comparing

    def any_file(self) -> bytes:
        return self.random.choice(content.STABLE + content.CHANGING)

    def versions(self, path: bytes, lowest: int) -> set[int]:
        return {content.version(path, revision) for revision in range(lowest, self.clock.begun + 1)}

    def check_bytes(self, path: bytes, data: bytes, lowest: int) -> None:
        versions = self.versions(path, lowest)
        if not any(data == content.content(path, version) for version in versions):
            raise Wrong(
                f"{path!r}: {len(data)} bytes, {data[:60]!r}...{data[-60:]!r}, are of none of {sorted(versions)}"
            )
        self.done["bytes"] += len(data)

    def check_names(self, names: list[bytes], possible: range | frozenset[int]) -> None:
        if len(names) != len(set(names)):
            raise Wrong(f"{len(names) - len(set(names))} names come twice")
        if frozenset(names) not in {content.names(revision) for revision in possible}:
            nearest = min((content.names(revision) for revision in possible), key=lambda has: len(has ^ set(names)))
            raise Wrong(f"{len(names)} names of no revision in {possible}; {len(nearest ^ set(names))} differ")


def _read_all(descriptor: int) -> bytes:
    parts: list[bytes] = []
    position = 0
    while part := os.pread(descriptor, 1 << 17, position):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _names(descriptor: int, size: int) -> list[bytes]:
    """Names from one getdents64."""
    buffer = ctypes.create_string_buffer(size)
    length = _libc.getdents64(descriptor, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    found, place = [], 0
    while place < length:
        (record,) = struct.unpack_from("=H", buffer, place + 16)
        found.append(buffer.raw[place + 19 : place + record].split(b"\0", 1)[0])
        place += record
    return found


def main() -> int:
    os.nice(19)  # so many would leave nothing to the one that publishes
    reader = Reader(os.fsencode(sys.argv[1]), Clock(Path(sys.argv[2])), int(sys.argv[3]))
    print("ready", flush=True)
    try:
        reader.run()
    except (Wrong, OSError) as error:
        print(f"seed {sys.argv[3]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(reader.done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
