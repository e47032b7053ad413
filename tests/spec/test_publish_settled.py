"""What a publication notes of its work tree, for the next one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.publish import settled
from swrepo.publish.settled import Settled
from tests.publishing import Server

ROOT_CATALOG = ObjectId(Algorithm.SHA1, bytes(20), Kind.CATALOG)


def test_a_tree_is_the_same_one_however_its_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, record = tmp_path / "tree", tmp_path / "record"
    tree.mkdir()
    settled.save(record, Settled(start_ns=7, directories={1: 2}), ROOT_CATALOG, tree, "rules")
    monkeypatch.chdir(tmp_path)
    assert settled.load(record, ROOT_CATALOG, Path("tree"), "rules").directories == {1: 2}
    assert settled.is_of(record, Path("./tree"))


def test_a_tree_of_another_place_is_not_known(tmp_path: Path) -> None:
    for name in ("tree", "other"):
        (tmp_path / name).mkdir()
    record = tmp_path / "record"
    settled.save(record, Settled(start_ns=7, directories={1: 2}), ROOT_CATALOG, tmp_path / "tree", "rules")
    assert settled.load(record, ROOT_CATALOG, tmp_path / "other", "rules").directories == {}
    assert not settled.is_of(record, tmp_path / "other")


def test_after_the_clock_was_set_back_nothing_is_taken_on_trust(tmp_path: Path) -> None:
    server = Server(tmp_path)
    file = server.tree / "file"
    file.write_bytes(b"old")
    before = file.stat()
    server.publish()
    server.clock.ns -= 3600 * 10**9  # all that is done now seems to have been done before that publication
    file.write_bytes(b"new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert server.publisher().publish(server.fqrn).changed == 1
