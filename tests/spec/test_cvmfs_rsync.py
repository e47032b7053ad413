"""`cvmfs_rsync`: a directory becomes as another one, and nested catalogs stay where they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_rsync import main


def rsync(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) if path is None else {**os.environ, "PATH": path}
    command = [sys.executable, "-m", "swrepo.cli.cvmfs_rsync", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("marker", [".cvmfscatalog", ".cvmfsautocatalog"])
def test_what_the_source_lacks_is_deleted_but_for_the_markers_of_directories_that_stay(
    tmp_path: Path, marker: str
) -> None:
    source, destination = tmp_path / "source", tmp_path / "destination"
    (source / "stays").mkdir(parents=True)
    (source / "stays/new").write_text("new")
    for name in ("stays", "goes"):
        (destination / name).mkdir(parents=True)
        (destination / name / marker).touch()
        (destination / name / "old").write_text("old")

    done = rsync("-a", "--delete", f"{source}/", f"{destination}/")

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (destination / "stays").iterdir()) == [marker, "new"]
    assert not (destination / "goes").exists()


def test_the_exit_code_is_that_of_rsync(tmp_path: Path) -> None:
    assert rsync("-a", f"{tmp_path}/absent", f"{tmp_path}/there").returncode == 23


def test_without_a_source_and_a_destination_it_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["only-one"]) == 1
    assert "usage: cvmfs_rsync" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "EXAMPLE" in capsys.readouterr().out


def test_without_rsync_it_says_what_to_install(tmp_path: Path) -> None:
    done = rsync("a", "b", path=str(tmp_path))
    assert done.returncode == 1
    assert "install the package rsync" in done.stderr
