"""Options of cvmfs_server that its users' scripts have: several repositories, patterns, revision numbers, pauses."""

from __future__ import annotations

import io
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.errors import NotFound, UsageError
from swrepo.format.paths import ROOT
from swrepo.publish.settings import Choices
from tests.publishing import Server, fast_options, shared_keys


class Commands:
    """Two repositories of one server, and what their commands print."""

    def __init__(self, prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.one = Server(prefix, fast_options())
        keys = prefix / "keys"
        keys.mkdir()
        for file in shared_keys().iterdir():  # making others takes a while
            shutil.copy(file, keys / file.name.replace("sw.", "two."))
        self.two = Server(prefix, fast_options(keys=keys), fqrn="two.example.org")
        self._capsys = capsys

    def run(self, *words: str, code: int = 0) -> str:
        self._capsys.readouterr()
        found = cvmfs_server(words)
        shown = self._capsys.readouterr()
        assert found == code, shown.err
        return shown.out + shown.err


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    return Commands(tmp_path, capsys)


def test_several_repositories_are_published_and_checked_by_a_pattern(commands: Commands) -> None:
    (commands.one.tree / "file").touch()
    (commands.two.tree / "file").touch()
    said = commands.run("publish", "*.example.org")
    assert "sw.example.org: published revision 2" in said
    assert "two.example.org: published revision 2" in said
    assert commands.run("check", "sw.*", "two.example.org", "sw.example.org").count("no problems found") == 2
    assert commands.run("resign", "*").count("valid until") == 2
    assert "no repository of this server has a name like" in commands.run("check", "*.org.uk", code=NotFound.exit_code)


def test_one_that_cannot_be_published_does_not_keep_the_others_from_it(commands: Commands) -> None:
    (commands.two.tree / "file").touch()
    commands.one.places.keys.signing.rename(commands.one.places.storage / "elsewhere")
    said = commands.run("publish", "sw.example.org", "two.example.org", code=NotFound.exit_code)
    assert "two.example.org: published revision 2" in said


def test_paths_and_places_are_of_one_repository(commands: Commands) -> None:
    commands.run("publish", "*", "--changed", "x", code=UsageError.exit_code)
    commands.run("publish", "--source", "/tmp", "*", code=UsageError.exit_code)


def test_a_revision_gets_the_number_that_is_asked_for(commands: Commands) -> None:
    assert "published revision 100" in commands.run("publish", "-n", "100", "sw.example.org")
    with commands.one.revision() as revision:
        assert revision.number == 100
    assert "which is 100" in commands.run("publish", "-n", "100", "sw.example.org", code=UsageError.exit_code)
    (commands.one.tree / "next").touch()
    assert "published revision 101" in commands.run("publish", "-f", "-c", "10", "sw.example.org/a/subdirectory")


def test_a_number_is_counted_on_where_none_is_given() -> None:
    assert Choices().number(7) == 8
    assert Choices(revision=9).number(7) == 9


def test_a_catalog_may_be_changed_by_hand_before_it_is_stored(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commands.one.tree / "file").touch()

    class Editor(io.StringIO):
        def readline(self, *_: object) -> str:  # type: ignore[override]
            (catalog,) = commands.one.places.scratch.glob("catalog-*")
            with closing(sqlite3.connect(catalog)) as database:
                database.executescript("UPDATE catalog SET uid = 4711 WHERE name = 'file'; VACUUM;")
            return "\n"

    monkeypatch.setattr(sys, "stdin", Editor())
    assert "Return goes on" in commands.run("publish", "-p", "sw.example.org")
    with commands.one.revision() as revision:
        entry = revision.find(b"/file")
        assert entry is not None
        assert entry.uid == 4711
        assert revision.find(ROOT) is not None
    assert "no problems found" in commands.run("check", "sw.example.org")


def test_without_anybody_to_press_return_nothing_is_published(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commands.one.tree / "file").touch()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    commands.run("publish", "-p", "sw.example.org", code=UsageError.exit_code)
    with commands.one.revision() as revision:
        assert revision.number == 1


def test_layouts_of_other_versions_are_used_as_they_are(commands: Commands) -> None:
    assert commands.run("migrate", "*").count("used as it is; nothing is to be migrated") == 2
    conf = commands.one.places.server_conf
    conf.write_text(conf.read_text().replace("CREATOR_VERSION='143'", "X=").replace("CREATOR_VERSION=143", "X="))
    conf.write_text(conf.read_text() + "CVMFS_CREATOR_VERSION=2.3.0-1\n")
    assert "the layout 2.3.0-1 is used" in commands.run("migrate", "sw.example.org")
    conf.write_text(conf.read_text().replace("2.3.0-1", "150"))
    assert "layout 150 of a newer CernVM-FS" in commands.run("migrate", "sw.example.org", code=UsageError.exit_code)
    assert "nothing was changed" in commands.run("fix-permissions")
