"""What every ObjectSource does, whatever is behind it. Subclass it in a test module and say how to connect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest

from swrepo.errors import (
    CorruptCatalog,
    CorruptCertificate,
    CorruptObject,
    DecompressionBomb,
    ObjectNotFound,
    ObjectTooLarge,
    TruncatedObject,
)
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import ObjectSource, Want
from tests.simulator import RepositorySimulator, flipped

Connect = Callable[[RepositorySimulator], ObjectSource]

PLAIN = bytes(range(256)) * 40


class ObjectSourceContract:
    """`connect` gives a source that serves what the simulator holds at the time of the call."""

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def repository(self) -> RepositorySimulator:
        return RepositorySimulator()

    @pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 3_000_000])
    @pytest.mark.parametrize("compression", Compression)
    def test_gives_the_plain_bytes(
        self, repository: RepositorySimulator, connect: Connect, compression: Compression, size: int
    ) -> None:
        plain = (PLAIN * (size // len(PLAIN) + 1))[:size]
        object_id = repository.put(plain, compression=compression)
        assert fetched(connect(repository), Want(object_id, compression, size)) == plain

    @pytest.mark.parametrize("kind", Kind)
    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_serves_every_kind_in_every_hash(self, connect: Connect, algorithm: Algorithm, kind: Kind) -> None:
        repository = RepositorySimulator(algorithm=algorithm)
        object_id = repository.put(PLAIN, kind)
        assert fetched(connect(repository), Want(object_id)) == PLAIN

    def test_says_that_it_does_not_have_an_object(self, repository: RepositorySimulator, connect: Connect) -> None:
        missing = ObjectId.of(b"never stored")
        with pytest.raises(ObjectNotFound, match=missing.digest.hex()[2:]):
            connect(repository).fetch(Want(missing), BytesIO())

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(Kind.FILE, CorruptObject), (Kind.CATALOG, CorruptCatalog), (Kind.CERTIFICATE, CorruptCertificate)],
    )
    def test_refuses_bytes_that_do_not_match_the_name(
        self, repository: RepositorySimulator, connect: Connect, kind: Kind, error: type[CorruptObject]
    ) -> None:
        object_id = repository.put(PLAIN, kind)
        repository.stored[object_id.path] = codec.encode(PLAIN[::-1], Compression.ZLIB)
        with pytest.raises(error, match="do not match its name"):
            connect(repository).fetch(Want(object_id, size=len(PLAIN)), BytesIO())

    @pytest.mark.parametrize("bit", [0, 100, -1])
    def test_refuses_a_flipped_bit(self, repository: RepositorySimulator, connect: Connect, bit: int) -> None:
        object_id = repository.put(PLAIN)
        stored = repository.stored[object_id.path]
        repository.stored[object_id.path] = flipped(stored, bit % (8 * len(stored)))
        with pytest.raises(CorruptObject):
            connect(repository).fetch(Want(object_id, size=len(PLAIN)), BytesIO())

    @pytest.mark.parametrize("compression", Compression)
    def test_refuses_an_object_that_is_cut_short(
        self, repository: RepositorySimulator, connect: Connect, compression: Compression
    ) -> None:
        object_id = repository.put(PLAIN, compression=compression)
        repository.stored[object_id.path] = repository.stored[object_id.path][:-1]
        with pytest.raises(TruncatedObject):
            connect(repository).fetch(Want(object_id, compression, len(PLAIN)), BytesIO())

    @pytest.mark.parametrize("compression", Compression)
    def test_refuses_an_object_that_is_longer_than_announced(
        self, repository: RepositorySimulator, connect: Connect, compression: Compression
    ) -> None:
        object_id = repository.put(PLAIN, compression=compression)
        with pytest.raises(ObjectTooLarge):
            connect(repository).fetch(Want(object_id, compression, len(PLAIN) - 1), BytesIO())

    def test_refuses_a_bomb(self, repository: RepositorySimulator, connect: Connect) -> None:
        object_id = repository.put(bytes(10_000_000))
        out = BytesIO()
        with pytest.raises(DecompressionBomb):
            connect(repository).fetch(Want(object_id, limit=1000), out)
        assert len(out.getvalue()) <= 1000

    def test_serves_many_threads(self, repository: RepositorySimulator, connect: Connect) -> None:
        plains = [f"{number} ".encode() * 5000 for number in range(40)]
        wants = [Want(repository.put(plain), size=len(plain)) for plain in plains]
        source = connect(repository)
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda want: fetched(source, want), wants)) == plains


def fetched(source: ObjectSource, want: Want) -> bytes:
    """The plain bytes of an object."""
    out = BytesIO()
    source.fetch(want, out)
    return out.getvalue()
