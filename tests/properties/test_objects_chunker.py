"""objects.chunker against the rule as it is written down, one byte after the other."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import ConfigError
from swrepo.objects.chunker import ChunkSizes, boundaries, find_cut


def cut_one_byte_at_a_time(data: bytes, sizes: ChunkSizes) -> list[bytes]:
    """format.md 10, literally."""
    cuts, last, x = [], 0, 0
    threshold = 4294967295 // sizes.average
    for index, byte in enumerate(data):
        if index < last + sizes.minimum - 32:
            continue
        if index == last + sizes.maximum:
            cuts.append(index)
            last, x = index, 0
            continue
        x = ((x << 1) ^ byte) & 0xFFFFFFFF
        if index >= last + sizes.minimum:
            as_int32 = x - (1 << 32) if x >> 31 else x
            distance = (as_int32 - 2147483647 + (1 << 31)) % (1 << 32) - (1 << 31)
            if abs(distance) < threshold:
                cuts.append(index)
                last, x = index, 0
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@st.composite
def chunk_sizes(draw: st.DrawFn) -> ChunkSizes:
    average = draw(st.sampled_from([32, 33, 64, 100, 1000, 1024, 4096]))
    return ChunkSizes(draw(st.integers(32, average)), average, average * draw(st.integers(1, 5)))


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


contents = st.one_of(
    st.binary(min_size=1, max_size=500),
    st.builds(noise, st.integers(0, 1 << 32), st.integers(1, 80_000)),
    st.builds(lambda part, count: (part * count)[:80_000], st.binary(min_size=1, max_size=40), st.integers(1, 8000)),
    st.builds(
        lambda seed, size: bytes(value & 1 for value in noise(seed, size)), st.integers(0, 99), st.integers(1, 9000)
    ),
)


@given(contents, chunk_sizes())
def test_cuts_are_those_of_the_rule(data: bytes, sizes: ChunkSizes) -> None:
    assert list(boundaries(BytesIO(data).read, sizes)) == cut_one_byte_at_a_time(data, sizes)


@given(contents, chunk_sizes(), st.integers(1, 3000))
def test_cuts_do_not_depend_on_how_the_file_is_read(data: bytes, sizes: ChunkSizes, at_most: int) -> None:
    file = BytesIO(data)
    halting = boundaries(lambda size: file.read(min(size, at_most)), sizes)
    assert list(halting) == list(boundaries(BytesIO(data).read, sizes))


@given(contents, chunk_sizes())
def test_chunks_are_the_file_and_keep_to_their_sizes(data: bytes, sizes: ChunkSizes) -> None:
    found = list(boundaries(BytesIO(data).read, sizes))
    assert b"".join(found) == data
    assert all(sizes.minimum <= len(chunk) <= sizes.maximum for chunk in found[:-1])
    assert 0 < len(found[-1]) <= sizes.maximum


def test_an_inserted_byte_changes_few_chunks() -> None:
    sizes = ChunkSizes(1000, 4000, 32_000)
    data = noise(1, 400_000)
    before = set(boundaries(BytesIO(data).read, sizes))
    after = set(boundaries(BytesIO(data[:5000] + b"!" + data[5000:]).read, sizes))
    assert len(before) > 50
    assert len(before - after) <= 4


def test_an_empty_file_has_no_chunks() -> None:
    assert list(boundaries(BytesIO().read, ChunkSizes())) == []


@pytest.mark.parametrize("make", [bytes, lambda size: noise(2, size)], ids=["zeros", "noise"])
def test_a_file_of_the_minimum_size_is_one_chunk(make: Callable[[int], bytes]) -> None:
    sizes = ChunkSizes(32, 32, 64)
    for size in range(1, 33):
        assert find_cut(make(size), sizes) == size


@pytest.mark.parametrize("sizes", [(0, 1, 2), (31, 64, 128), (128, 64, 256), (64, 128, 127), (64, 128, 1 << 32)])
def test_sizes_that_make_no_sense_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="CVMFS_MIN_CHUNK_SIZE"):
        ChunkSizes(*sizes)
