"""Our cut points are those of CernVM-FS, for every chunked file of the golden repositories."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.objects.chunker import ChunkSizes, boundaries
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from tests.golden import golden

MIB = 1 << 20


def chunked_files(served: DirectoryObjects, folder: Path) -> Iterator[tuple[Algorithm, list[tuple[int, bytes]]]]:
    """Algorithm and (size, digest) of the chunks, for each chunked file in any catalog."""
    for catalog in [object_id for object_id in served.list() if object_id.kind is Kind.CATALOG]:
        with (folder / catalog.name).open("wb") as out:
            served.fetch(Want(catalog), out)
        database = sqlite3.connect(folder / catalog.name)
        files: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
        for first, second, size, digest in database.execute(
            "SELECT md5path_1, md5path_2, size, hash FROM chunks ORDER BY md5path_1, md5path_2, offset"
        ):
            files.setdefault((first, second), []).append((size, digest))
        database.close()
        for chunks in files.values():
            yield catalog.algorithm, chunks


@pytest.mark.parametrize(
    ("name", "sizes", "files"),
    [
        ("chunked", ChunkSizes(), 11),
        ("shake128", ChunkSizes(MIB, 2 * MIB, 4 * MIB), 1),
        ("rmd160", ChunkSizes(MIB, 2 * MIB, 4 * MIB), 1),
    ],
)
def test_a_file_is_cut_where_the_original_cut_it(name: str, sizes: ChunkSizes, files: int, tmp_path: Path) -> None:
    served = DirectoryObjects(golden(name).served)
    seen = 0
    for algorithm, chunks in chunked_files(served, tmp_path):
        content = BytesIO()
        for size, digest in chunks:
            chunk = BytesIO()
            served.fetch(Want(ObjectId(algorithm, digest, Kind.PARTIAL), size=size), chunk)
            content.write(chunk.getvalue())
        content.seek(0)
        assert [len(chunk) for chunk in boundaries(content.read, sizes)] == [size for size, _ in chunks]
        assert hashlib.sha256(content.getvalue()).hexdigest() in {row.sha256 for row in golden(name).rows}
        seen += 1
    assert seen == files
