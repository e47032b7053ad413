"""What objects.codec refuses, with which error, and that no object makes it use more than its share of memory."""

from __future__ import annotations

import itertools
import tracemalloc
import zlib
from collections.abc import Iterator
from io import BytesIO

import pytest

from swrepo.errors import (
    CorruptCatalog,
    CorruptCertificate,
    CorruptObject,
    DecompressionBomb,
    ObjectTooLarge,
    TruncatedObject,
)
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import Want

MIB = 1 << 20
PLAIN = b"".join(str(number).encode() for number in range(20_000))


class Sink(BytesIO):
    """Counts what is written and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.count += len(data)
        return len(data)


def bomb(size: int) -> bytes:
    """A zlib stream of `size` zeros."""
    compressor = zlib.compressobj(9)
    return b"".join(compressor.compress(bytes(MIB)) for _ in range(size // MIB)) + compressor.flush()


BOMB = bomb(512 * MIB)


@pytest.mark.parametrize("want_size", [0, 1, 1000, 3 * MIB])
def test_a_bomb_is_refused_in_bounded_memory_and_writes_no_more_than_was_announced(want_size: int) -> None:
    out = Sink()
    tracemalloc.start()
    with pytest.raises(DecompressionBomb, match=f"inflates to more than .* allowed are {want_size}"):
        codec.decode([BOMB], Want(ObjectId.of(BOMB), size=want_size), out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.count <= want_size
    assert peak < 4 * codec.BLOCK


def test_a_bomb_of_which_no_size_is_announced_is_bounded_by_the_limit() -> None:
    out = Sink()
    with pytest.raises(DecompressionBomb):
        codec.decode([BOMB], Want(ObjectId.of(BOMB, kind=Kind.CERTIFICATE), limit=65536), out)
    assert out.count <= 65536


def test_an_object_just_above_the_limit_is_refused_too() -> None:
    stored = codec.encode(PLAIN, Compression.ZLIB)
    with pytest.raises(DecompressionBomb):
        codec.decode([stored], Want(ObjectId.of(stored), limit=len(PLAIN) - 1), Sink())
    codec.decode([stored], Want(ObjectId.of(stored), limit=len(PLAIN)), Sink())


@pytest.mark.parametrize("compression", Compression)
def test_an_endless_download_is_given_up(compression: Compression) -> None:
    """Whatever comes: noise that is no stream, or one stored block after another."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        for block in itertools.chain([codec.encode(PLAIN, compression)], itertools.repeat(bytes(range(256)) * 16)):
            taken += len(block)
            yield block

    with pytest.raises(ObjectTooLarge):
        codec.decode(endless(), Want(ObjectId.of(PLAIN), compression, size=len(PLAIN)), Sink())
    assert taken < 2 * len(PLAIN) + MIB
    taken = 0
    with pytest.raises(ObjectTooLarge):
        codec.decode_blocks(endless(), Want(ObjectId.of(PLAIN), compression, size=len(PLAIN)))
    assert taken < 2 * len(PLAIN) + MIB


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("plain", [b"", PLAIN])
def test_blocks_of_an_object_that_fits_into_memory_are_its_bytes(compression: Compression, plain: bytes) -> None:
    stored = codec.encode(plain, compression)
    want = Want(ObjectId.of(stored), compression, size=len(plain))
    assert codec.decode_blocks([stored[:3], stored[3:]], want) == plain
    assert codec.decode_blocks([stored], want) == plain
    with pytest.raises(CorruptObject):
        codec.decode_blocks([stored, b"more"], want)


def test_a_larger_object_in_the_place_of_a_smaller_one_is_called_so() -> None:
    larger = codec.encode(PLAIN, Compression.ZLIB)
    with pytest.raises(ObjectTooLarge, match=f"holds {len(PLAIN)} bytes"):
        codec.decode([larger], Want(ObjectId.of(b"smaller"), size=len(PLAIN) - 10), Sink())


def test_an_object_far_larger_than_announced_is_called_so_and_not_inflated_to_its_end() -> None:
    plain = b"".join(b"%d\n" % (number // 20) for number in range(400_000))
    stored = codec.encode(plain, Compression.ZLIB)
    out = Sink()
    with pytest.raises(ObjectTooLarge, match="holds more than the 1000 bytes announced"):
        codec.decode([stored], Want(ObjectId.of(stored), size=1000), out)
    assert out.count <= 1000
    damaged = stored[:-1] + bytes([stored[-1] ^ 1])
    with pytest.raises(CorruptObject, match="do not match its name"):
        codec.decode([damaged], Want(ObjectId.of(stored), size=1000), Sink())


@pytest.mark.parametrize(
    ("kind", "error"),
    [(Kind.FILE, CorruptObject), (Kind.CATALOG, CorruptCatalog), (Kind.CERTIFICATE, CorruptCertificate)],
)
def test_the_error_says_what_kind_of_object_was_damaged(kind: Kind, error: type[CorruptObject]) -> None:
    stored = codec.encode(PLAIN, Compression.ZLIB)
    other = codec.encode(PLAIN[::-1], Compression.ZLIB)
    with pytest.raises(error, match=f"{ObjectId.of(stored).digest.hex()}{kind} has bytes that do not match") as caught:
        codec.decode([other], Want(ObjectId.of(stored, kind=kind), size=len(PLAIN)), Sink())
    assert type(caught.value) is error


def test_bytes_that_match_their_name_but_are_no_stream_are_called_so() -> None:
    with pytest.raises(CorruptObject, match="matches its name but is no zlib stream"):
        codec.decode([PLAIN], Want(ObjectId.of(PLAIN), size=len(PLAIN)), Sink())


def test_the_wrong_hash_algorithm_is_a_wrong_name() -> None:
    stored = codec.encode(PLAIN, Compression.ZLIB)
    name = ObjectId(Algorithm.SHAKE128, Algorithm.SHA1.digest(stored))
    with pytest.raises(CorruptObject, match="do not match its name"):
        codec.decode([stored], Want(name), Sink())


@pytest.mark.parametrize("compression", Compression)
def test_no_bytes_at_all_are_a_truncated_object(compression: Compression) -> None:
    with pytest.raises(TruncatedObject, match="ended after 0"):
        codec.decode([], Want(ObjectId.of(PLAIN), compression, len(PLAIN)), Sink())


def test_the_empty_file_is_the_object_that_everybody_has() -> None:
    stored = codec.encode(b"", Compression.ZLIB)
    assert ObjectId.of(stored).text == "e8ec3d88b62ebf526e4e5a4ff6162a3aa48a6b78"
    out = BytesIO()
    codec.decode([stored], Want(ObjectId.of(stored), size=0), out)
    codec.decode([], Want(ObjectId.of(b""), Compression.NONE, 0), out)
    assert out.getvalue() == b""


def test_a_failing_disk_is_not_taken_for_a_corrupt_object() -> None:
    class Full(BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    for compression in Compression:
        stored = codec.encode(PLAIN, compression)
        with pytest.raises(OSError, match="No space left"):
            codec.decode([stored], Want(ObjectId.of(stored), compression), Full())


def test_encoding_takes_what_can_be_read_as_bytes() -> None:
    for compression in Compression:
        expected = codec.encode(PLAIN, compression)
        assert codec.encode(bytearray(PLAIN), compression) == expected
        assert codec.encode(memoryview(PLAIN), compression) == expected


def test_a_large_stream_is_encoded_in_constant_memory() -> None:
    class Zeros(BytesIO):
        left = 200 * MIB

        def read(self, size: int | None = -1) -> bytes:
            block = bytes(min(size or 0, self.left))
            self.left -= len(block)
            return block

    tracemalloc.start()
    made = codec.encode_stream(Zeros(), Sink(), level=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made.plain_size == 200 * MIB
    assert peak < 4 * codec.BLOCK
