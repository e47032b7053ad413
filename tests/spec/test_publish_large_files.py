"""Large files: holes are not read, and a publication that was stopped in the middle of one goes on there."""

from __future__ import annotations

import os
import random

import pytest

from swrepo.objects.chunker import ChunkSizes, boundaries
from swrepo.publish.pieces import Pieces
from swrepo.publish.source_file import Span, steady
from tests.publishing import MemoryStore
from tests.spec.test_publish_scan import Bench

SIZES = ChunkSizes(4096, 8192, 16384)


class Stopped(BaseException):
    """Kill -9, as far as one process can have it."""


class Stopping(MemoryStore):
    """Counts what is put, and stops after so many."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0
        self.left = 10**9

    def put(self, object_id, stored):
        if self.left <= 0:
            raise Stopped
        self.left -= 1
        self.puts += 1
        super().put(object_id, stored)


@pytest.fixture
def bench(tmp_path):
    found = Bench(tmp_path)
    found.store = Stopping()
    return found


def holey(path, dice):
    """A file with data here and there."""
    with path.open("wb") as file:
        for _ in range(dice.randint(1, 6)):
            file.seek(dice.choice((1, 4096, 5000, 70_000, 300_000)), os.SEEK_CUR)
            file.write(dice.randbytes(dice.choice((1, 4096, 30_000))))
        file.truncate(file.tell() + dice.choice((0, 1, 16_384, 200_000)))


@pytest.mark.parametrize("seed", range(8))
def test_a_file_with_holes_is_cut_as_if_it_had_zeros(tmp_path, seed):
    path = tmp_path / "file"
    holey(path, random.Random(seed))
    with path.open("rb") as file:
        expected = list(boundaries(file.read, SIZES))
    with steady(os.fsencode(path)) as (span, _):
        assert list(Pieces(span, SIZES)) == expected


def test_a_file_of_a_terabyte_that_was_never_written_to_is_published_without_being_read(tmp_path):
    bench = Bench(tmp_path, sizes=ChunkSizes())
    with (bench.tree / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    bench.publish()
    assert sum(chunk.size for chunk in bench.last.entries[b"/sparse"].chunks) == 1 << 40
    assert len(bench.store.objects) == 1
    os.utime(bench.tree / "sparse")
    bench.publish()
    assert len(bench.store.objects) == 1


def test_where_the_file_system_tells_no_holes_all_is_read(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        assert not Span(file, 100).skip_hole(200)


def test_a_publication_that_was_stopped_in_a_large_file_goes_on_there(bench):
    (bench.tree / "large").write_bytes(random.Random(1).randbytes(400_000))
    bench.store.left = 20
    with pytest.raises(Stopped):
        bench.scan()
    stored = bench.store.puts
    bench.store.left = 10**9
    bench.publish()
    total = len(bench.last.entries[b"/large"].chunks)
    assert stored == 20
    assert bench.store.puts - stored <= total - stored + 8  # what was not noted yet is stored again
    assert bench.plain(b"/large") == (bench.tree / "large").read_bytes()


def test_a_file_that_was_changed_meanwhile_is_read_from_its_beginning(bench):
    content = random.Random(2).randbytes(400_000)
    (bench.tree / "large").write_bytes(content)
    bench.store.left = 20
    with pytest.raises(Stopped):
        bench.scan()
    bench.store.left = 10**9
    (bench.tree / "large").write_bytes(b"changed" + content)
    bench.publish()
    assert bench.plain(b"/large") == b"changed" + content


def test_chunks_that_are_noted_and_lost_are_stored_again(bench):
    (bench.tree / "large").write_bytes(random.Random(3).randbytes(400_000))
    bench.store.left = 30
    with pytest.raises(Stopped):
        bench.scan()
    bench.store.left = 10**9
    bench.store.objects.pop(next(iter(bench.store.objects)))
    bench.publish()
    assert bench.plain(b"/large") == (bench.tree / "large").read_bytes()
