"""Who builds images: what an ordinary user needs, said before anything starts; and what is told when it goes wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swrepo.errors import PermissionRefused, SwrepoError
from swrepo.image import builder
from swrepo.image.recipe import RECIPES
from swrepo.image.rootfs import Rootfs


def etc(place: Path, uids: str, gids: str) -> Path:
    (place / "subuid").write_text(uids)
    (place / "subgid").write_text(gids)
    return place


def test_a_user_with_ids_of_its_own_may_build(tmp_path):
    etc(tmp_path, "other:100000:65536\nana:165536:65536\n", "ana:100000:65536\n")
    builder.require_ranges("ana", tmp_path)


@pytest.mark.parametrize(
    ("uids", "gids", "named"),
    [
        ("", "", "subuid and "),
        ("ana:100000:65536\n", "", "subgid"),
        ("ana:100000:1000\n", "ana:100000:65536\n", "subuid"),
        ("ana:100000:1000\nana:200000:65536\n", "ana:100000:65536\n", "subuid"),  # only the first is used
        ("nonsense\nana:x:y\n", "ana:100000:65536\n", "subuid"),
    ],
)
def test_who_has_none_reads_which_file_lacks_them_and_the_command_that_helps(tmp_path, uids, gids, named):
    with pytest.raises(PermissionRefused, match=f"ana has none in .*{named}") as caught:
        builder.require_ranges("ana", etc(tmp_path, uids, gids))
    assert "usermod --add-subuids " in str(caught.value)


def test_the_ids_that_are_proposed_are_nobody_elses(tmp_path):
    with pytest.raises(PermissionRefused, match="--add-subuids 265536-331071 --add-subgids 265536-331071 ana"):
        builder.require_ranges("ana", etc(tmp_path, "a:100000:65536\n", "b:200000:65536\n"))


def test_a_machine_without_the_files_has_no_ids_for_anybody(tmp_path):
    with pytest.raises(PermissionRefused, match="100000-165535"):
        builder.require_ranges("ana", tmp_path)


def failing(place: Path, script: str) -> None:
    """A builder of root directories that is called as the real one."""
    program = place / "mmdebstrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's is emptied by the real one")
@pytest.mark.parametrize(("left", "notes"), [("mkdir root && touch root/x", 0), ("touch root", 1)])
def test_what_went_wrong_is_told_before_what_the_tidying_up_says(tmp_path, monkeypatch, left, notes):
    failing(tmp_path, f"cd {tmp_path} && {left}; echo 'the archive is gone' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    rootfs = Rootfs(tmp_path, tmp_path / "x.deb", 0, ("deb http://a b c",))
    with pytest.raises(SwrepoError, match="the archive is gone") as caught, rootfs.made(RECIPES["client"]):
        pass
    assert len(getattr(caught.value, "__notes__", ())) == notes
    assert (tmp_path / "root").exists() is bool(notes)
