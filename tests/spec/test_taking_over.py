"""Taking over repositories of the original, describing them, removing them: the commands on golden repositories."""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.cli.main import main
from swrepo.errors import FormatError, NotFound, PublishError, UsageError
from swrepo.publish.layout import ServerLayout
from tests.golden import golden

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the golden trees hold devices, and files of other users")


class Machine:
    def __init__(self, prefix, capsys):
        self.prefix, self.capsys = prefix, capsys
        self.layout = ServerLayout(prefix)

    def run(self, *words, program=cvmfs_server, code=0):
        self.capsys.readouterr()
        found = program([str(word) for word in words])
        self.shown = self.capsys.readouterr()
        assert found == code, self.shown.err
        return self.shown.out

    def manifest_revision(self, fqrn):
        return json.loads(self.run("info", fqrn, "--json"))["revision"]


@pytest.fixture
def machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
    monkeypatch.delenv("SWREPO_DEBUG", raising=False)
    return Machine(tmp_path, capsys)


def imported(machine, name, *options):
    found = golden(name)
    machine.run("import", "-k", found.path / "keys", "--from", found.served, *options, found.fqrn)
    return found


@needs_root
@pytest.mark.parametrize("name", ["basic", "shake128", "history"])
def test_what_the_original_made_is_taken_over_and_goes_on(machine, name):
    found = imported(machine, name)
    before = machine.manifest_revision(found.fqrn)
    assert "nothing changed" in machine.run("publish", found.fqrn)
    tree = machine.layout.repository(found.fqrn).worktree
    (tree / "new").write_text("ours")
    assert f"published revision {before + 1}: 1 added, 1 changed, 0 removed" in machine.run("publish", found.fqrn)
    machine.run("tag", "-a", "ours", found.fqrn)
    machine.run("resign", found.fqrn)
    machine.run("resign", "-p", found.fqrn)
    machine.run("check", "-c", "-i", found.fqrn)
    assert json.loads(machine.run("info", found.fqrn, "--json"))["trusted"] == "yes"


@needs_root
def test_a_directory_that_the_originals_mkfs_laid_out_is_used_as_it_is(machine):
    """server.conf, client.conf, storage and spool area of the original; only the work tree was its mount."""
    found = golden("rmd160")
    places = machine.layout.repository(found.fqrn)
    shutil.copytree(found.path / "keys", machine.layout.keys)
    places.configuration.mkdir(parents=True)
    for name in ("server.conf", "client.conf"):
        shutil.copy(found.path / name, places.configuration)
    shutil.copytree(found.served, places.storage)
    for name in ("rdonly", "cache", "tmp", "ofs_workdir", "scratch/current", "scratch/wastebin"):
        (places.spool / name).mkdir(parents=True)
    places.worktree.mkdir(parents=True)
    machine.run("publish", found.fqrn, code=errno.EINVAL)
    assert "is in no transaction" in machine.shown.err  # as with the original
    shutil.rmtree(places.spool)
    machine.run("publish", found.fqrn, code=PublishError.exit_code)
    assert "publishing it would remove everything" in machine.shown.err
    machine.run("import", found.fqrn)
    assert "nothing changed" in machine.run("publish", found.fqrn)
    (places.worktree / "new").write_text("ours")
    assert "1 added" in machine.run("publish", found.fqrn)
    machine.run("check", "-c", "-i", found.fqrn)


def test_keys_that_are_lost_are_made_anew_with_the_master_key(machine, tmp_path):
    found, safe = golden("rmd160"), tmp_path / "safe"
    safe.mkdir()
    for suffix in ("masterkey", "pub"):
        shutil.copy(found.path / "keys" / f"{found.fqrn}.{suffix}", safe)
    words = ("import", "-k", safe, "--from", found.served, found.fqrn)
    machine.run(*words, code=NotFound.exit_code)
    assert "-t -r makes a new repository key" in machine.shown.err
    machine.run(*words, "-t", code=UsageError.exit_code)
    machine.run(*words, "-t", "-r")
    assert json.loads(machine.run("keys", "show", found.fqrn, "--json"))["troubles"] == []
    (machine.layout.repository(found.fqrn).worktree / "new").write_text("ours")
    assert "1 added" in machine.run("publish", found.fqrn)


def test_what_is_no_storage_or_another_repository_is_refused(machine, tmp_path):
    found = golden("rmd160")
    machine.run("import", "-k", found.path / "keys", "--from", tmp_path, found.fqrn, code=NotFound.exit_code)
    words = ("import", "-k", found.path / "keys", "--from", found.served)
    machine.run(*words, "other.example.org", code=UsageError.exit_code)
    assert "a repository keeps its name" in machine.shown.err
    for options in (["-l"], ["-f", "aufs"], ["-u", "S3,/tmp,x@/nowhere"]):
        machine.run(*words, *options, found.fqrn, code=UsageError.exit_code)
    machine.run(*words, "-R", found.fqrn, code=NotFound.exit_code)
    assert machine.layout.repositories() == []


@pytest.fixture
def described(machine, tmp_path):
    machine.run("mkfs", "sw.example.org")
    return machine


def test_a_repository_tells_of_itself(described, tmp_path):
    about = tmp_path / "about.json"
    about.write_text('{"administrator": "Ada"}')
    before = described.manifest_revision("sw.example.org")
    described.run("update-repoinfo", "-f", about, "sw.example.org")
    assert described.manifest_revision("sw.example.org") == before
    described.run("check", "-i", "sw.example.org")
    about.write_text("{")
    described.run("update-repoinfo", "-f", about, code=FormatError.exit_code)
    about.write_text("[]")
    described.run("update-repoinfo", "-f", about, code=UsageError.exit_code)


def test_what_a_repository_tells_can_be_edited(described, tmp_path, monkeypatch):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/"administrator": ""/"administrator": "Ada"/\' "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    described.run("update-repoinfo")
    described.run("update-info")
    served = described.layout.served
    assert json.loads((served / "info/v1/meta.json").read_bytes())["administrator"] == "Ada"
    monkeypatch.setenv("EDITOR", "false")
    described.run("update-info", code=UsageError.exit_code)
    assert "nothing was changed" in described.shown.err


def test_removed_is_removed_but_not_the_work_tree(described):
    places = described.layout.repository("sw.example.org")
    (places.worktree / "mine").write_text("work")
    assert f"left: {places.worktree}" in described.run("rmfs", "-f", "sw.example.org")
    assert not places.storage.exists()
    assert not places.spool.exists()
    assert not places.keys.master.exists()
    assert (places.worktree / "mine").read_text() == "work"
    listed = json.loads((described.layout.served / "info/v1/repositories.json").read_bytes())
    assert listed["repositories"] == []
    described.run("rmfs", "-f", "sw.example.org", code=NotFound.exit_code)


def test_what_was_kept_can_be_imported_again(described):
    (described.layout.repository("sw.example.org").worktree / "mine").write_text("work")
    described.run("publish")
    shutil.rmtree(described.layout.repository("sw.example.org").worktree)
    described.run("rmfs", "-p", "-f", "sw.example.org")
    described.run("import", "sw.example.org")
    assert "nothing changed" in described.run("publish")
    assert (described.layout.repository("sw.example.org").worktree / "mine").read_text() == "work"


def test_commands_that_have_no_sense_here_say_why(described):
    for name in ("health-check", "serve"):
        described.run(name, code=UsageError.exit_code)
        assert f"cvmfs_server {name} is not there: " in described.shown.err
    assert main(["server", "list"]) == 0


@needs_root
def test_a_repository_is_imported_for_its_owner(machine):
    found = imported(machine, "rmd160", "-o", "nobody", "-g")
    places, owner = machine.layout.repository(found.fqrn), pwd.getpwnam("nobody").pw_uid
    for path in (places.keys.signing, places.keys.master, places.storage / "data", places.spool):
        assert path.stat().st_uid == owner


def test_a_broken_configuration_keeps_no_other_repository_from_the_list(described):
    broken = described.layout.configurations / "broken.example.org"
    broken.mkdir()
    (broken / "server.conf").write_text("if\n")
    assert "1 repositories are listed" in described.run("update-info", "-e")
