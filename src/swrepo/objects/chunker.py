"""Where a large file is cut into chunks, by its content, so that an inserted byte changes one chunk and not all.

The rule is the original's, so that both publishers cut the same file into the same objects (source: format.md 10):
over the bytes goes `x = (x << 1) ^ byte`, 32 bits wide; from `minimum` bytes behind the last cut on, a cut is made
before byte i where x, that byte included, is nearly 2**31: `abs(int32(x - (2**31 - 1))) < (2**32 - 1) // average`;
and at `maximum` at the latest.

How this is fast without a loop over the bytes. x is a function of the last 32 bytes, linear over GF(2). Bits 7 to 31
of x are the last 25 values of one sequence of bits,

    v(i) = bit 7 of byte i  ^  bit 6 of byte i-1  ^  ...  ^  bit 0 of byte i-7,        bit j of x(i) = v(i - (j - 7)),

and "x is nearly 2**31" means that its highest bit differs from all those below it, down to a bit `free`. So a cut
needs a long run of equal values in v: a run of zeros in e(i) = v(i) ^ v(i-1), which `bytes.find` looks for. v for a
whole window takes four `bytes.translate` (shifts and masks of each byte) and four exclusive-ors of the window with
itself, some bytes on. What is found is then checked with the rule itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swrepo.errors import ConfigError

_MIB = 1 << 20

_HISTORY = 31
"""Bytes before byte i that x(i) depends on."""

_LEAST = _HISTORY + 1

_WINDOW = 64 << 10
"""Bytes that are examined at a time: with all that is made of them they stay in the processor's cache."""

_TARGET = (1 << 31) - 1
_LOWEST_LINEAR_BIT = 7
_RUN_AHEAD = 22
"""The run that cuts before byte i begins at e(i - 22): the bits 30 and 29 of x(i) are v(i - 23) and v(i - 22)."""

_SHIFT_1 = bytes(value << 1 & 0xFF for value in range(256))
_SHIFT_2 = bytes(value << 2 & 0xFF for value in range(256))
_BIT_7 = bytes(value >> 7 & 1 for value in range(256))
_BIT_3 = bytes(value >> 3 & 1 for value in range(256))


@dataclass(frozen=True, slots=True)
class ChunkSizes:
    """Bounds of a chunk in bytes; `average` steers how often a cut is found between them."""

    minimum: int = 4 * _MIB
    average: int = 8 * _MIB
    maximum: int = 16 * _MIB

    def __post_init__(self) -> None:
        if not _LEAST <= self.minimum <= self.average <= self.maximum < 1 << 32:
            raise ConfigError(
                f"chunk sizes must rise from {_LEAST} bytes to below 4 GiB, not {self.minimum}, {self.average}, "
                f"{self.maximum} (CVMFS_MIN_CHUNK_SIZE, CVMFS_AVG_CHUNK_SIZE, CVMFS_MAX_CHUNK_SIZE)"
            )


def boundaries(read: Callable[[int], bytes], sizes: ChunkSizes) -> Iterator[bytes]:
    """The chunks of a file, in order; none for an empty one.

    `read(n)` gives up to n bytes and b"" at the end. At most one chunk of the maximum size is held, beside the one
    that was given out.
    """
    data = b""
    while True:
        data = _filled(data, read, sizes.maximum)
        if not data:
            return
        cut = find_cut(data, sizes)
        yield data if cut == len(data) else data[:cut]
        data = data[cut:]


def find_cut(data: bytes, sizes: ChunkSizes) -> int:
    """Length of the first chunk of `data`, which begins behind a cut and is all there is or has the maximum size."""
    end = min(len(data), sizes.maximum)
    threshold = 0xFFFFFFFF // sizes.average
    for start in range(sizes.minimum, end, _WINDOW):
        for index in _candidates(data, start, min(start + _WINDOW, end), threshold):
            if _is_cut(data, index, threshold):
                return index
    return end


def _filled(data: bytes, read: Callable[[int], bytes], size: int) -> bytes:
    parts, missing = [data], size - len(data)
    while missing and (part := read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _is_cut(data: bytes, index: int, threshold: int) -> bool:
    """The rule itself, for one byte."""
    x = 0
    for byte in data[index - _HISTORY : index + 1]:
        x = (x << 1 ^ byte) & 0xFFFFFFFF
    distance = (x - _TARGET) & 0xFFFFFFFF
    return min(distance, (1 << 32) - distance) < threshold


def _candidates(data: bytes, start: int, end: int, threshold: int) -> Iterator[int]:
    """Every index from `start` to before `end` where there can be a cut, and few others."""
    free = max(threshold.bit_length(), _LOWEST_LINEAR_BIT)
    run = bytes(30 - free)
    first = start - _RUN_AHEAD  # where a run begins that belongs to x(start)
    changes = _changes(data, first, end)
    at = changes.find(run)
    while at >= 0:
        index = first + at + _RUN_AHEAD
        if index >= end:
            return
        yield index
        one = changes.find(b"\x01", at + len(run))
        at = changes.find(run, one) if one >= 0 else -1


def _changes(data: bytes, first: int, end: int) -> bytearray:
    """e(i) as bytes 0 and 1, for every i from `first` to before `end`."""
    # Doubling: a byte with its predecessor, shifted left by one; that with the one two before, shifted by two; and the
    # last doubling, by four, for bit 7 alone. Each step loses the bytes at the beginning that lack a predecessor:
    # 1 + 2 + 4, and 1 for the difference.
    plain = data[first - 8 : end]
    two = _xor(plain, 1, plain.translate(_SHIFT_1))
    four = _xor(two, 2, two.translate(_SHIFT_2))
    values = _xor(four.translate(_BIT_7), 4, four.translate(_BIT_3))
    return _xor(values, 1, values)


def _xor(left: bytes | bytearray, distance: int, right: bytes | bytearray) -> bytearray:
    """`left[i] ^ right[i - distance]` for every i that has both."""
    # Only here: loading it takes longer than publishing a small file.
    from Crypto.Util.strxor import strxor

    found = bytearray(len(left) - distance)
    strxor(memoryview(left)[distance:], memoryview(right)[:-distance], output=found)
    return found
