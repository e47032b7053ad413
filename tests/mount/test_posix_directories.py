"""Listings of large directories as programs read them: in pieces, from any position, several at a time."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.mount.posix import Both, both, libc, walk

pytestmark = pytest.mark.mount

MANY = 5000
VERY_MANY = 50_000


def make(top: bytes) -> None:
    for name, count in ((b"many", MANY), (b"very-many", VERY_MANY), (b"one", 1), (b"none", 0)):
        os.mkdir(top + b"/" + name)
        for number in range(count):
            path = b"%s/%s/%s-%06d" % (top, name, b"entry" * (number % 7), number)
            if number % 100 == 1:
                os.mkdir(path)
            elif number % 100 == 2:
                os.symlink(b"target", path)
            else:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


@pytest.fixture(scope="module")
def tree():
    with both(make) as found:
        yield found


Record = tuple[bytes, int, int, int]
"""Name, inode number, type and the position after it."""


def piece(descriptor: int, size: int = 4096) -> list[Record]:
    """The records of one getdents64 with a buffer of this size."""
    buffer = ctypes.create_string_buffer(size)
    length = libc.getdents64(descriptor, buffer, size)
    assert length >= 0
    found, place = [], 0
    while place < length:
        inode, position, record, kind = struct.unpack_from("=QqHB", buffer, place)
        name = buffer.raw[place + 19 : place + record].split(b"\0", 1)[0]
        found.append((name, inode, kind, position))
        place += record
    return found


def pieces(descriptor: int, size: int = 4096) -> Iterator[list[Record]]:
    while found := piece(descriptor, size):
        yield found


def listing(path: bytes, size: int = 4096) -> list[Record]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    found = [record for part in pieces(descriptor, size) for record in part]
    os.close(descriptor)
    return found


def names(records: list[Record]) -> list[bytes]:
    return [record[0] for record in records]


@pytest.mark.parametrize("directory", [b"/many", b"/very-many", b"/one", b"/none"])
def test_a_listing_has_each_name_once_with_its_number_and_type(tree: Both, directory: bytes) -> None:
    def listed(top: bytes) -> dict[bytes, int]:
        found = listing(top + directory)
        assert len(set(names(found))) == len(found)
        return {name: kind for name, _, kind, _ in found}

    tree.same(listed)
    for name, inode, _, _ in listing(tree.mount + directory):
        if name != b"..":
            assert os.lstat(tree.mount + directory + b"/" + name).st_ino == inode


@pytest.mark.parametrize("size", [64, 300, 4096, 32768, 1 << 20])
def test_the_order_is_the_same_with_a_buffer_of_any_size(tree: Both, size: int) -> None:
    if size < 300:
        found = listing(tree.mount + b"/one", size)
        assert found == listing(tree.mount + b"/one")
    else:
        assert listing(tree.mount + b"/many", size) == listing(tree.mount + b"/many")


def test_from_every_position_the_rest_follows(tree: Both) -> None:
    whole = listing(tree.mount + b"/many")
    descriptor = os.open(tree.mount + b"/many", os.O_RDONLY | os.O_DIRECTORY)
    for index in [*range(0, MANY, 97), 0, 1, 2, 3, MANY - 1, MANY, MANY + 1]:
        os.lseek(descriptor, whole[index][3], os.SEEK_SET)
        found = piece(descriptor, 1000)
        assert found == whole[index + 1 :][: len(found)]
        assert bool(found) == (index <= MANY)
    os.lseek(descriptor, 0, os.SEEK_SET)
    assert piece(descriptor, 1000)[0][0] == b"."
    os.close(descriptor)


def test_positions_are_right_with_a_cold_kernel_cache_and_with_a_warm_one(tree: Both) -> None:
    """The first reader goes to us, the second to the kernel's cache, and one that jumps to both."""
    path = tree.mount + b"/very-many"
    first, second = listing(path, 32768), listing(path, 32768)
    assert first == second
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    piece(descriptor)
    for index in (40_000, 3, 25_000, VERY_MANY + 1):
        os.lseek(descriptor, first[index][3], os.SEEK_SET)
        rest = [record for part in pieces(descriptor, 32768) for record in part]
        assert rest == first[index + 1 :]
    os.close(descriptor)


def test_positions_fit_into_31_bits_for_old_programs(tree: Both) -> None:
    assert max(record[3] for record in listing(tree.mount + b"/very-many")) < 1 << 31
    assert max(record[1] for record in listing(tree.mount + b"/very-many")) < 1 << 31


def test_seekdir_and_telldir_of_the_library_come_back_to_the_same_entry(tree: Both) -> None:
    libc.opendir.restype = libc.readdir64.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.telldir.argtypes = libc.readdir64.argtypes = libc.closedir.argtypes = libc.rewinddir.argtypes = [
        ctypes.c_void_p
    ]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]

    def read(stream: int) -> bytes | None:
        entry = libc.readdir64(stream)
        return ctypes.string_at(entry + 19) if entry else None

    stream = libc.opendir(tree.mount + b"/many")
    places: list[tuple[int, bytes]] = []
    while True:
        place = libc.telldir(stream)
        name = read(stream)
        if name is None:
            break
        places.append((place, name))
    assert len(places) == MANY + 2
    for place, name in places[::-193]:
        libc.seekdir(stream, place)
        assert read(stream) == name
    libc.rewinddir(stream)
    assert read(stream) == b"."
    libc.closedir(stream)


def test_a_listing_is_not_disturbed_by_others_that_list_and_look_up(tree: Both) -> None:
    script = "import os, sys\nfor _ in range(20): assert len(os.listdir(sys.argv[1])) == int(sys.argv[2])"
    path = tree.mount + b"/many"
    others = [subprocess.Popen([sys.executable, "-c", script, path, str(MANY)]) for _ in range(4)]
    whole = listing(path)
    while any(other.poll() is None for other in others):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        found = []
        for part in pieces(descriptor, 1 << 14):
            os.lstat(path + b"/" + part[-1][0])
            found += part
        os.close(descriptor)
        assert found == whole
    assert [other.wait() for other in others] == [0] * 4


def test_two_positions_in_one_directory_do_not_know_each_other(tree: Both) -> None:
    path = tree.mount + b"/many"
    first, second = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    found: tuple[list[Record], list[Record]] = ([], [])
    while True:
        parts = piece(first, 4096), piece(second, 1024)
        found[0].extend(parts[0])
        found[1].extend(parts[1])
        if not any(parts):
            break
    os.close(first)
    os.close(second)
    assert found[0] == found[1] == listing(path)


def test_fifty_thousand_entries_have_the_same_attributes(tree: Both) -> None:
    def shown(top: bytes) -> str:
        command = ["find", ".", "-printf", "%P %y %m %n %U %G %T@ %l\n"]
        found = subprocess.run(command, cwd=top + b"/very-many", check=True, capture_output=True, text=True).stdout
        return "\n".join(sorted(found.splitlines()))

    tree.same(shown)


def test_a_walk_finds_all(tree: Both) -> None:
    assert len(tree.same(walk)) == MANY + VERY_MANY + 1 + 5


def test_dot_and_dot_dot_come_first_and_lead_where_they_should(tree: Both) -> None:
    above, top = os.stat(tree.mount).st_ino, os.stat(tree.mount + b"/many").st_ino
    assert [record[:2] for record in listing(tree.mount + b"/many")[:2]] == [(b".", top), (b"..", above)]
    assert os.stat(tree.mount + b"/many/..").st_ino == above
