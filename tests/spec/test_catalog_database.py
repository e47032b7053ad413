"""How SQLite gets at a file that is known by its descriptor only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swrepo.catalog.reader import CatalogFile
from tests.trees import file, write_catalog


def nameless(directory: Path, content: bytes) -> int:
    """A file that never had a name."""
    try:
        descriptor = os.open(directory, os.O_RDWR | os.O_TMPFILE, 0o600)
    except (AttributeError, OSError):
        pytest.skip("neither this system nor this file system has files without names")
    os.write(descriptor, content)
    return descriptor


def removed(directory: Path, content: bytes) -> int:
    """A file that has lost its name."""
    path = directory / "removed"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    path.unlink()
    return descriptor


@pytest.mark.parametrize("made", [nameless, removed])
def test_a_file_without_a_name_is_read_and_leaves_none(made, tmp_path, monkeypatch) -> None:
    elsewhere, here = tmp_path / "temporary", tmp_path / "here"
    for directory in (elsewhere, here):
        directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    write_catalog(tmp_path / "catalog", {b"/a": file(b"hello")})
    descriptor = made(here, (tmp_path / "catalog").read_bytes())
    catalog = CatalogFile.open(descriptor, b"")
    os.close(descriptor)
    assert [entry.name for entry in catalog.listing(b"")] == [b"a"]
    assert os.listdir(here) == os.listdir(elsewhere) == []
    catalog.close()


def test_a_file_that_never_had_a_name_is_not_copied(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))  # where a copy would be made
    write_catalog(tmp_path / "catalog", {b"/a": file(b"hello")})
    descriptor = nameless(tmp_path, (tmp_path / "catalog").read_bytes())
    catalog = CatalogFile.open(descriptor, b"")
    os.close(descriptor)
    assert catalog.lookup(b"/a") is not None
    catalog.close()
