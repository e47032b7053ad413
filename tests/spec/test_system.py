"""system: atomic files, locks that name their holder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from swrepo.errors import Busy
from swrepo.system.atomic import make_directory, replace_atomically, write_atomically
from swrepo.system.filesystem import sync_filesystem
from swrepo.system.lock import exclusive


def test_an_atomic_write_replaces_content_and_mode(tmp_path):
    path = tmp_path / "key"
    write_atomically(path, b"old")
    write_atomically(path, b"new", 0o400)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o400
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_an_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "doc"
    write_atomically(path, b"old")

    def stop_half_way(out):
        out.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_atomically(path, stop_half_way)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["doc"]


def test_directories_are_made_with_their_parents_and_existing_ones_are_kept(tmp_path):
    existing = tmp_path / "a"
    existing.mkdir(mode=0o700)
    make_directory(tmp_path / "a" / "b" / "c")
    make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a/b/c").is_dir()
    assert existing.stat().st_mode & 0o777 == 0o700


def test_a_file_system_can_be_synced_as_a_whole(tmp_path):
    assert sync_filesystem(tmp_path) in (True, False)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "missing")


def test_the_second_holder_is_told_who_the_first_is(tmp_path):
    path = tmp_path / "spool" / "lock"
    with exclusive(path, "publishing x.example.org", clock=lambda: 0):
        with pytest.raises(Busy) as busy, exclusive(path, "publishing x.example.org"):
            pass
        assert f"pid {os.getpid()} on {os.uname().nodename}" in str(busy.value)
        assert "since 1970-01-01T00:00:00Z" in str(busy.value)
    with exclusive(path, "again"):
        pass


def test_a_lock_dies_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    program = (
        "import sys, pathlib, os, signal\n"
        "from swrepo.system.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1]), 'dying'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -9
    assert b"dying" in path.read_bytes()
    with exclusive(path, "after the crash"):
        pass
