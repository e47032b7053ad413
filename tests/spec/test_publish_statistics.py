"""publish.statistics: a row for each publication and collection, in the original's database."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.errors import NotFound, PublishError, UsageError

FQRN = "sw.example.org"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))

    def command(*words, code=0):
        capsys.readouterr()
        assert cvmfs_server([str(word) for word in words]) == code, capsys.readouterr().err
        return capsys.readouterr().out

    command("mkfs", "-z", FQRN)
    return command


def table(run, *options):
    head, *lines = (line.split("|") for line in run("print-stats", *options, FQRN).splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_publications_have_a_row_each(run, tmp_path):
    tree = tmp_path / "cvmfs" / FQRN
    run("print-stats", FQRN, code=NotFound.exit_code)
    (tree / "d").mkdir()
    (tree / "d/f").write_text("12345")
    (tree / "l").symlink_to("d/f")
    run("publish", FQRN)
    (tree / "d/f").write_text("123456789")
    (tree / "l").unlink()
    run("publish", FQRN)
    first, second = table(run)
    wanted = {"revision": "2", "files_added": "1", "directories_added": "1", "symlinks_added": "1", "success": "1"}
    assert first.items() >= (wanted | {"sz_bytes_added": "5"}).items()
    wanted = {"files_changed": "1", "symlinks_removed": "1", "sz_bytes_added": "9", "sz_bytes_removed": "5"}
    assert second.items() >= wanted.items()
    assert first["start_time"] <= first["finish_time"]


def test_a_publication_that_fails_has_a_row_too(run, tmp_path):
    (tmp_path / "cvmfs" / FQRN / "f").write_text("1")
    (tmp_path / "etc/cvmfs/keys" / f"{FQRN}.crt").chmod(0o644)
    (tmp_path / "cvmfs" / FQRN / ".cvmfsdirtab").write_text("/a\n! /a\n")
    run("publish", FQRN, code=PublishError.exit_code)
    assert [row["success"] for row in table(run)] == ["0"]


def test_collections_have_a_row(run, tmp_path):
    (tmp_path / "cvmfs" / FQRN / "f").write_text("1")
    run("publish", FQRN)
    run("gc", "-r", "0", "-f", FQRN)
    run("gc", "-r", "0", "-f", "-d", FQRN)
    (row,) = table(run, "-t", "gc_statistics")
    assert row["n_preserved_catalogs"] == "2"
    run("print-stats", "-t", "other", FQRN, code=UsageError.exit_code)


def test_the_database_is_the_originals(run, tmp_path):
    run("publish", FQRN)
    with closing(sqlite3.connect(tmp_path / "var/spool/cvmfs" / FQRN / "stats.db")) as database:
        properties = dict(database.execute("SELECT key, value FROM properties"))
    assert properties == {"schema": "1.0", "schema_revision": "4", "repo_name": FQRN}


def test_where_it_is_and_whether_it_is_printed_is_set(run, tmp_path):
    configuration = tmp_path / "etc/cvmfs/repositories.d" / FQRN / "server.conf"
    with configuration.open("a") as file:
        file.write(f"CVMFS_STATISTICS_DB={tmp_path}/other/s.db\nCVMFS_PRINT_STATISTICS=true\n")
    (tmp_path / "cvmfs" / FQRN / "f").write_text("1")
    assert "files_added: 1" in run("publish", FQRN)
    assert (tmp_path / "other/s.db").exists()
    assert len(table(run)) == 1


def test_two_databases_become_one(run, tmp_path):
    run("publish", FQRN)
    source = tmp_path / "var/spool/cvmfs" / FQRN / "stats.db"
    assert "2 rows" in run("merge-stats", "-o", tmp_path / "both.db", source, source)
    run("merge-stats", "-o", tmp_path / "both.db", source, source, code=UsageError.exit_code)
    run("merge-stats", "-o", tmp_path / "none.db", source, tmp_path / "missing", code=UsageError.exit_code)
    assert not (tmp_path / "none.db").exists()


def test_they_are_stored_with_the_repository_where_that_is_wanted(run, tmp_path):
    tree, served = tmp_path / "cvmfs" / FQRN, tmp_path / "srv/cvmfs" / FQRN
    (tree / "f").write_text("12345")
    run("publish", FQRN)
    assert not (served / "stats").exists()
    with (tmp_path / "etc/cvmfs/repositories.d" / FQRN / "server.conf").open("a") as file:
        file.write("CVMFS_UPLOAD_STATS_DB=true\nCVMFS_UPLOAD_STATS_PLOTS=true\n")
    (tree / "g").write_text("1")
    run("publish", FQRN)
    with closing(sqlite3.connect(served / "stats/stats.db")) as database:
        assert database.execute("SELECT revision, files_added FROM publish_statistics").fetchall() == [(2, 1), (3, 1)]
    page = (served / "stats/index.html").read_text()
    assert f"<h1>Statistics of {FQRN}</h1>" in page
    assert "Publications: the last 2 of 2" in page
    assert page.count("<rect") == 12
    run("gc", "-f", FQRN)
    assert "Collections: the last 1 of 1" in (served / "stats/index.html").read_text()


def test_the_version_is_told_unless_that_is_not_wanted(run, tmp_path):
    listed = tmp_path / "srv/cvmfs/info/v1/repositories.json"
    assert "cvmfs_version" in listed.read_text()
    (tmp_path / "etc/cvmfs/server.local").write_text("CVMFS_PUBLISH_VERSIONS_IN_META_FILE=false\n")
    run("update-info", "-e")
    assert "cvmfs_version" not in listed.read_text()
