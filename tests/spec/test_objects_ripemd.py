"""RIPEMD-160 where OpenSSL was built without it: pycryptodome does it, and everything else stays the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO

import pytest

from swrepo.errors import CorruptObject
from swrepo.format import object_id
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import Want
from tests.simulator import flipped

VECTORS = {
    b"": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    b"abc": "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    b"a" * 1_000_000: "52783243c1697bdbe16d37f97f68f08325dc1528",
}


@pytest.fixture
def openssl_without_ripemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """hashlib as it is on systems that have only OpenSSL's default provider of 3.0.0 to 3.0.6, or FIPS."""
    genuine = hashlib.new

    def new(name: str, *arguments: object, **options: object) -> object:
        if name == "ripemd160":
            raise ValueError("unsupported hash type ripemd160")
        return genuine(name, *arguments, **options)

    monkeypatch.setattr(hashlib, "new", new)
    object_id._ripemd160.cache_clear()
    yield
    object_id._ripemd160.cache_clear()


@pytest.mark.usefixtures("openssl_without_ripemd")
def test_the_fallback_is_used() -> None:
    assert type(Algorithm.RIPEMD160.hasher()).__module__ == "Crypto.Hash.RIPEMD160"


@pytest.mark.usefixtures("openssl_without_ripemd")
@pytest.mark.parametrize("data", VECTORS, ids=["empty", "abc", "a million a"])
def test_the_fallback_gives_the_published_digests(data: bytes) -> None:
    assert Algorithm.RIPEMD160.digest(data).hex() == VECTORS[data]
    pieces = Algorithm.RIPEMD160.hasher()
    for start in range(0, len(data), 999):
        pieces.update(memoryview(data)[start : start + 999])
    assert pieces.digest().hex() == VECTORS[data]


@pytest.mark.parametrize("data", VECTORS, ids=["empty", "abc", "a million a"])
def test_and_so_does_whatever_this_machine_has(data: bytes) -> None:
    assert Algorithm.RIPEMD160.digest(data).hex() == VECTORS[data]


@pytest.mark.usefixtures("openssl_without_ripemd")
def test_objects_are_checked_with_the_fallback() -> None:
    stored = codec.encode(b"content" * 100, Compression.ZLIB)
    want = Want(ObjectId.of(stored, Algorithm.RIPEMD160), size=700)
    codec.decode([stored], want, BytesIO())
    with pytest.raises(CorruptObject):
        codec.decode([flipped(stored, 77)], want, BytesIO())
