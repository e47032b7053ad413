"""objects.codec against arbitrary content, arbitrary damage and arbitrary lies."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from swrepo.errors import CorruptObject, DecompressionBomb, ObjectTooLarge, TruncatedObject
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import Want
from tests.simulator import flipped

algorithms = st.sampled_from(Algorithm)
compressions = st.sampled_from(Compression)
kinds = st.sampled_from(Kind)
plains = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda part, count: part * count, st.binary(min_size=1, max_size=50), st.integers(0, 3000)),
)


def blocks(stored: bytes, size: int) -> Iterator[bytes]:
    return (stored[start : start + size] for start in range(0, len(stored), size))


def decoded(stored: bytes, want: Want, block: int = 1 << 16) -> bytes:
    out = BytesIO()
    codec.decode(blocks(stored, block), want, out)
    return out.getvalue()


@given(plains, compressions, algorithms, kinds, st.integers(1, 70_000), st.booleans(), st.integers(1, 9))
def test_what_was_encoded_is_decoded_however_it_arrives(
    plain: bytes,
    compression: Compression,
    algorithm: Algorithm,
    kind: Kind,
    block: int,
    announced: bool,
    level: int,
) -> None:
    stored = codec.encode(plain, compression, level)
    want = Want(ObjectId.of(stored, algorithm, kind), compression, len(plain) if announced else None)
    assert decoded(stored, want, block) == plain


@given(plains, compressions, algorithms)
def test_a_stream_is_encoded_to_something_that_decodes_to_it(
    plain: bytes, compression: Compression, algorithm: Algorithm
) -> None:
    out = BytesIO()
    made = codec.encode_stream(BytesIO(plain), out, compression=compression, algorithm=algorithm, kind=Kind.CATALOG)
    assert made == codec.Stored(ObjectId.of(out.getvalue(), algorithm, Kind.CATALOG), len(plain), len(out.getvalue()))
    assert decoded(out.getvalue(), Want(made.id, compression, len(plain))) == plain


@given(plains, st.integers(0, 9), st.integers(9, 15), st.integers(1, 999))
def test_every_valid_zlib_stream_is_read_whoever_made_it(
    plain: bytes, level: int, window: int, flush_each: int
) -> None:
    compressor = zlib.compressobj(level, wbits=window)
    parts = [
        compressor.compress(plain[at : at + flush_each]) + compressor.flush(zlib.Z_FULL_FLUSH)
        for at in range(0, min(len(plain), 20 * flush_each), flush_each)
    ]
    stored = b"".join(parts) + compressor.compress(plain[20 * flush_each :]) + compressor.flush()
    assert decoded(stored, Want(ObjectId.of(stored), size=len(plain))) == plain


@given(plains, compressions, algorithms, kinds, st.booleans(), st.data())
def test_one_flipped_bit_is_never_accepted(
    plain: bytes, compression: Compression, algorithm: Algorithm, kind: Kind, announced: bool, data: st.DataObject
) -> None:
    stored = codec.encode(plain, compression)
    assume(stored)
    want = Want(ObjectId.of(stored, algorithm, kind), compression, len(plain) if announced else None)
    bit = data.draw(st.integers(0, 8 * len(stored) - 1))
    with pytest.raises(CorruptObject):
        decoded(flipped(stored, bit), want)


@given(plains, compressions, st.data())
def test_a_beginning_is_never_taken_for_the_whole(plain: bytes, compression: Compression, data: st.DataObject) -> None:
    stored = codec.encode(plain, compression)
    assume(stored)
    length = data.draw(st.integers(0, len(stored) - 1))
    with pytest.raises(TruncatedObject):
        decoded(stored[:length], Want(ObjectId.of(stored), compression, len(plain)))
    # Nor where somebody named the beginning itself.
    with pytest.raises(TruncatedObject):
        decoded(stored[:length], Want(ObjectId.of(stored[:length]), compression, len(plain)))


@given(plains, compressions, st.binary(min_size=1, max_size=100), st.integers(1, 5000))
def test_bytes_behind_the_end_are_never_ignored(
    plain: bytes, compression: Compression, garbage: bytes, block: int
) -> None:
    stored = codec.encode(plain, compression)
    for name in (ObjectId.of(stored), ObjectId.of(stored + garbage)):
        with pytest.raises(ObjectTooLarge):
            decoded(stored + garbage, Want(name, compression, len(plain)), block)


@given(plains, compressions, st.integers(-3000, 3000))
def test_the_announced_size_is_exact(plain: bytes, compression: Compression, difference: int) -> None:
    size = len(plain) + difference
    assume(size >= 0 and difference)
    stored = codec.encode(plain, compression)
    expected = TruncatedObject if difference > 0 else (ObjectTooLarge, DecompressionBomb)
    with pytest.raises(expected):
        decoded(stored, Want(ObjectId.of(stored), compression, size))


# zlib refuses this for its incomplete set of distance codes; isal reads what the codes that are there say.
LAX = bytes.fromhex("789cedc2310d00000002a000f68fea6f067f86690000e0300e5d214c")


@given(st.binary(max_size=200), st.integers(1, 300))
@example(b"", 1)
@example(zlib.compress(b"two") + zlib.compress(b"streams"), 300)
@example(LAX, 300)
def test_any_bytes_are_read_just_as_zlib_reads_them(stored: bytes, block: int) -> None:
    check_against_zlib(stored, block)


@given(plains, st.data())
def test_a_damaged_stream_under_its_own_name_is_read_just_as_zlib_reads_it(plain: bytes, data: st.DataObject) -> None:
    stored = zlib.compress(plain)
    check_against_zlib(flipped(stored, data.draw(st.integers(0, 8 * len(stored) - 1))), 1000)


def check_against_zlib(stored: bytes, block: int) -> None:
    """isal does the work; zlib is the reference. The bytes have the name that is asked for."""
    want = Want(ObjectId.of(stored))
    inflate = zlib.decompressobj()
    try:
        expected = inflate.decompress(stored)
        valid = inflate.eof and not inflate.unused_data
    except zlib.error:
        valid = False
    if valid:
        assert decoded(stored, want, block) == expected
        return
    try:
        found = decoded(stored, want, block)
    except CorruptObject:
        return
    # isal is laxer about malformed codes. What it then makes of them has the stream's own checksum, so it was meant.
    assert zlib.adler32(found).to_bytes(4, "big") == stored[-4:]
