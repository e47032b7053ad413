"""Which chunks of a large file are fetched before they are read."""

from __future__ import annotations

from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_chunks import MOST_BYTES, MOST_CHUNKS, ChunksAhead
from swrepo.objects.store import Want

MIB = 1 << 20


def chunks(count: int, size: int = 6 * MIB) -> list[Want]:
    return [Want(ObjectId.of(b"%d" % number), size=size) for number in range(count)]


def read(order: list[int], wants: list[Want], number: int = 7) -> dict[int, list[int]]:
    """What is asked for at each chunk that is read."""
    ahead = ChunksAhead()
    return {index: [wants.index(want) for want in ahead.read(number, index, wants)] for index in order}


def test_who_reads_on_gets_the_next_chunks_twice_as_many_each_time_and_each_once() -> None:
    asked = read(list(range(12)), chunks(40))
    assert asked[0] == [], "a header may be all that is wanted"
    assert asked[1] == [2]
    assert asked[2] == [3, 4]
    assert asked[3] == [5, 6, 7]
    assert asked[4] == [8]
    all_of_them = [index for found in asked.values() for index in found]
    assert all_of_them == sorted(set(all_of_them))


def test_reading_in_one_chunk_asks_for_nothing() -> None:
    assert not any(read([3] * 50, chunks(10)).values())


def test_what_is_ahead_is_bounded_in_number_and_in_bytes() -> None:
    for size in (MIB, 6 * MIB, 16 * MIB, 64 * MIB):
        known = -1
        for index, found in read(list(range(30)), chunks(64, size)).items():
            known = max([known, *found])
            assert known - index <= MOST_CHUNKS
            assert max(0, known - index) * size <= max(MOST_BYTES, size)


def test_the_end_of_the_file_is_the_end() -> None:
    asked = read(list(range(5)), chunks(5))
    assert [index for found in asked.values() for index in found] == [2, 3, 4]


def test_random_reads_ask_for_nothing() -> None:
    assert not any(read([0, 9, 3, 17, 5, 12, 2, 8], chunks(20)).values())


def test_two_files_are_read_independently() -> None:
    ahead, wants = ChunksAhead(), chunks(9)
    for index in range(3):
        for number in (1, 2):
            found = ahead.read(number, index, wants)
            assert [wants.index(want) for want in found] == {0: [], 1: [2], 2: [3, 4]}[index]


def test_after_a_jump_reading_on_is_noticed_again() -> None:
    asked = read([0, 1, 2, 30, 31, 32], chunks(60))
    assert asked[30] == []
    assert asked[31] != []
    assert min(asked[32]) == max(asked[31]) + 1
