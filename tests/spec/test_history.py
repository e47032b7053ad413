"""Tags, branches and the reference log."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from swrepo.errors import FormatError, NotFound, ObjectNotFound
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.repository.history import Branch, HistoryFile, HistoryWriter, Tag, open_history
from swrepo.repository.reflog import Reference, ReflogFile, ReflogWriter
from tests.trees import MemoryObjects, stored_id

FQRN = "test.example.org"


def root(number: int, algorithm: Algorithm = Algorithm.SHA1) -> ObjectId:
    return ObjectId(algorithm, bytes([number]) * 20, Kind.CATALOG)


def tag(name: str, revision: int, *, branch: str = "", timestamp: int | None = None, description: str = "") -> Tag:
    return Tag(name, root(revision), 1000 + revision, revision, timestamp or revision * 100, description, branch)


@pytest.fixture
def writer(tmp_path: Path) -> HistoryWriter:
    return HistoryWriter(tmp_path / "history", FQRN)


def finished(writer: HistoryWriter, tmp_path: Path) -> HistoryFile:
    assert writer.finish() == (tmp_path / "history").stat().st_size
    return HistoryFile.open(tmp_path / "history")


def test_a_tag_is_read_as_it_was_written(writer: HistoryWriter, tmp_path: Path) -> None:
    written = Tag("été\udcff", root(3, Algorithm.SHAKE128), 5, 7, 99, "two\nlines 'and' \"quotes\"", "")
    writer.add(written)
    history = finished(writer, tmp_path)
    assert history.tags() == (written,)
    assert history.find("été\udcff") == written
    assert history.find("none") is None
    assert (history.fqrn, history.previous_revision) == (FQRN, None)


def test_tags_come_newest_first(writer: HistoryWriter, tmp_path: Path) -> None:
    for number in (2, 5, 3):
        writer.add(tag(f"v{number}", number))
    assert [found.name for found in finished(writer, tmp_path).tags()] == ["v5", "v3", "v2"]


def test_the_trunk_moves_on_and_what_it_was_stays_for_an_undo(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.advance(root(1), 10, 1, 100)
    assert writer.find("trunk-previous") is None
    writer.advance(root(2), 20, 2, 200)
    writer.advance(root(3), 30, 3, 300)
    history = finished(writer, tmp_path)
    assert history.find("trunk") == Tag("trunk", root(3), 30, 3, 300, "current HEAD")
    assert history.find("trunk-previous") == Tag("trunk-previous", root(2), 20, 2, 200, "default undo target")
    assert len(history.tags()) == 2


def test_a_date_finds_what_was_current_then(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.add_branch(Branch("fixes", "", 3))
    writer.add(tag("v2", 2, timestamp=200))
    writer.add(tag("v3", 3, timestamp=300))
    writer.add(tag("fix", 4, timestamp=250, branch="fixes"))
    history = finished(writer, tmp_path)

    def at(seconds: int) -> str | None:
        found = history.by_date(datetime.fromtimestamp(seconds, UTC))
        return None if found is None else found.name

    assert [at(199), at(200), at(299), at(300), at(10**9)] == [None, "v2", "v2", "v3", "v3"]
    elsewhere = datetime.fromtimestamp(299, timezone(timedelta(hours=-11)))
    found = history.by_date(elsewhere)
    assert found is not None
    assert found.name == "v2"


def test_a_rollback_removes_what_is_newer_on_its_branch_only(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.add_branch(Branch("fixes", "", 3))
    for what in (tag("v2", 2), tag("v3", 3), tag("v4", 4), tag("fix", 9, branch="fixes")):
        writer.add(what)
    assert writer.remove_newer(2) == 2
    assert [found.name for found in finished(writer, tmp_path).tags()] == ["fix", "v2"]


def test_an_edited_history_keeps_tags_and_branches_and_the_old_file(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.add_branch(Branch("fixes", "", 3))
    writer.add_branch(Branch("more", "fixes", 4))
    writer.add(tag("v1", 1))
    writer.add(tag("fix", 4, branch="fixes"))
    old = finished(writer, tmp_path)
    again = HistoryWriter.edit(old, tmp_path / "new")
    again.remove("v1")
    again.finish(stored_id(b"old", Kind.HISTORY))
    new = HistoryFile.open(tmp_path / "new")
    assert [found.name for found in new.tags()] == ["fix"]
    assert new.branches() == old.branches() == (Branch("", None, 0), Branch("fixes", "", 3), Branch("more", "fixes", 4))
    assert new.previous_revision == stored_id(b"old", Kind.HISTORY)
    assert old.find("v1") is not None


def test_what_does_not_exist_is_not_removed_and_not_referred_to(writer: HistoryWriter) -> None:
    with pytest.raises(NotFound, match="no tag"):
        writer.remove("none")
    with pytest.raises(NotFound, match="branch"):
        writer.add(tag("v1", 1, branch="none"))
    with pytest.raises(NotFound, match="leaves"):
        writer.add_branch(Branch("b", "none", 1))
    writer.add_branch(Branch("b", "", 1))
    with pytest.raises(FormatError):
        writer.add_branch(Branch("b", "", 1))
    writer.discard()


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\nb", "a\0b"])
def test_a_name_that_a_listing_could_not_show_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="name"):
        tag(name, 1)


def test_a_history_is_opened_by_its_name(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.add(tag("v1", 1))
    finished(writer, tmp_path).close()
    objects = MemoryObjects()
    name = objects.put((tmp_path / "history").read_bytes(), Kind.HISTORY)
    assert open_history(name, objects).find("v1") is not None
    with pytest.raises(ObjectNotFound):
        open_history(stored_id(b"other", Kind.HISTORY), objects)


@pytest.mark.parametrize("revision", [0, 1, 2, 3])
def test_older_tag_databases_are_read(revision: int, tmp_path: Path) -> None:
    columns = ["name", "hash", "revision", "timestamp", "channel", "description"]
    values: list[object] = ["v1", root(1).text, 1, 100, 4, "first"]
    if revision >= 1:
        columns, values = [*columns, "size"], [*values, 77]
    if revision >= 3:
        columns, values = [*columns, "branch"], [*values, ""]
    connection = sqlite3.connect(tmp_path / "old")
    connection.execute(f"CREATE TABLE tags ({', '.join(columns)})")
    connection.execute("CREATE TABLE properties (key TEXT, value TEXT)")
    connection.execute(f"INSERT INTO tags VALUES ({', '.join('?' * len(values))})", values)
    connection.commit()
    connection.close()
    history = HistoryFile.open(tmp_path / "old")
    assert history.tags() == (Tag("v1", root(1), 77 if revision else None, 1, 100, "first"),)
    assert history.branches() == (Branch("", None, 0),)
    assert history.fqrn == ""
    HistoryWriter.edit(history, tmp_path / "new").finish()
    assert HistoryFile.open(tmp_path / "new").tags() == history.tags()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tags SET hash = 'x'", "UPDATE tags SET name = NULL", "DROP TABLE tags", "DROP TABLE properties"],
)
def test_a_damaged_tag_database_is_refused(statement: str, writer: HistoryWriter, tmp_path: Path) -> None:
    writer.add(tag("v1", 1))
    writer.finish()
    connection = sqlite3.connect(tmp_path / "history")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(FormatError):
        HistoryFile.open(tmp_path / "history").tags()


# The reference log


def test_references_are_noted_once_with_their_kind_and_time(tmp_path: Path) -> None:
    log = ReflogWriter(tmp_path / "log", FQRN)
    certificate = stored_id(b"c", Kind.CERTIFICATE)
    log.add(root(1), 100)
    log.add(certificate, 150)
    log.add(root(1), 200)
    log.add(root(2, Algorithm.RIPEMD160), 300)
    assert log.finish() == (tmp_path / "log").stat().st_size
    found = ReflogFile.open(tmp_path / "log")
    assert found.references(Kind.CATALOG) == (
        Reference(root(1), 100),
        Reference(root(2, Algorithm.RIPEMD160), 300),
    )
    assert found.references()[1] == Reference(certificate, 150)
    assert found.fqrn == FQRN
    found.close()


def test_a_swept_object_is_taken_out(tmp_path: Path) -> None:
    log = ReflogWriter(tmp_path / "log", FQRN)
    log.add(root(1), 100)
    log.add(root(2), 100)
    log.finish()
    again = ReflogWriter.edit(ReflogFile.open(tmp_path / "log"), tmp_path / "new")
    again.remove(root(1))
    again.remove(root(1).with_kind(Kind.FILE))
    again.remove(root(2).with_kind(Kind.HISTORY))
    again.finish()
    assert ReflogFile.open(tmp_path / "new").references() == (Reference(root(2), 100),)


def test_files_are_nothing_for_the_reference_log(tmp_path: Path) -> None:
    log = ReflogWriter(tmp_path / "log", FQRN)
    with pytest.raises(FormatError, match="kind"):
        log.add(stored_id(b"f"), 1)
    log.discard()
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("change", ["type = 9", "type = NULL", "hash = 'x'", "hash = NULL"])
def test_a_damaged_reference_log_is_refused(change: str, tmp_path: Path) -> None:
    log = ReflogWriter(tmp_path / "log", FQRN)
    log.add(root(1), 1)
    log.finish()
    connection = sqlite3.connect(tmp_path / "log")
    connection.execute(f"UPDATE refs SET {change}")
    connection.commit()
    connection.close()
    with pytest.raises(FormatError):
        ReflogFile.open(tmp_path / "log").references()


def test_another_database_is_no_reference_log(writer: HistoryWriter, tmp_path: Path) -> None:
    writer.finish()
    with pytest.raises(FormatError, match="no reference log"):
        ReflogFile.open(tmp_path / "history")
