"""`/cvmfs` as one mount: a repository appears when it is first touched, and fails on its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import Mount, mounted
from tests.mount.test_golden_mount import compare
from tests.mount.test_refresh import FIRST, Served, contents, expected, second

pytestmark = pytest.mark.mount


def entry(repo, cache: Path) -> dict:
    return {"urls": [repo.served.as_uri()], "keys": [str(repo.public_key)], "cache": str(cache), "fqrn": repo.fqrn}


@pytest.fixture
def cvmfs(tmp_path: Path):
    """Two good repositories, one that nobody can trust, and a simulated one that can be published to."""
    good, other, bad = golden("none"), golden("rmd160"), golden("basic")
    simulated = Served(tmp_path)
    simulated.publish(FIRST)
    repositories = {repo.fqrn: entry(repo, tmp_path / "cache") for repo in (good, other)}
    repositories[bad.fqrn] = entry(bad, tmp_path / "cache") | {"keys": [str(good.public_key)]}
    repositories[simulated.simulator.fqrn] = simulated.request() | {"cache": str(tmp_path / "cache")}
    with mounted(
        tmp_path, expected=("cannot be opened", "LOOKUP of '/golden-basic"), repositories=repositories
    ) as mount:
        yield mount, simulated


def test_it_is_empty_until_a_repository_is_touched(cvmfs) -> None:
    mount, _ = cvmfs
    assert os.listdir(mount.point) == []

    assert (mount.point / golden("none").fqrn).is_dir()

    assert os.listdir(mount.point) == [golden("none").fqrn]
    assert (mount.point / golden("rmd160").fqrn).is_dir()
    assert sorted(os.listdir(mount.point)) == sorted([golden("none").fqrn, golden("rmd160").fqrn])


def test_the_first_open_may_be_deep_below(cvmfs) -> None:
    mount, _ = cvmfs
    repo = golden("none")
    row = next(row for row in repo.rows if row.type == "f")

    assert len(Path(f"{mount.point}/{repo.fqrn}{row.path.decode()}").read_bytes()) == row.size


def test_each_repository_shows_what_its_manifest_says(cvmfs) -> None:
    mount, _ = cvmfs
    for repo in (golden("none"), golden("rmd160")):
        compare(repo.rows, mount.point / repo.fqrn)


def test_names_that_are_no_repositories_do_not_exist(cvmfs) -> None:
    mount, _ = cvmfs
    for name in (".git", "no.such.repository", "autorun.inf", "x" * 300):
        assert not os.path.exists(mount.point / name)
    assert os.listdir(mount.point) == []


def test_a_repository_that_cannot_be_trusted_is_eio_and_harms_no_other(cvmfs) -> None:
    mount, _ = cvmfs
    for _ in range(2):
        with pytest.raises(OSError) as raised:
            os.stat(mount.point / golden("basic").fqrn)
        assert raised.value.errno == errno.EIO
    assert (mount.point / golden("none").fqrn).is_dir()
    assert mount.log.read_text().count("cannot be opened") == 1, "the second time the failure was remembered"


def test_a_new_revision_of_one_repository_is_shown(cvmfs) -> None:
    mount, simulated = cvmfs
    point = mount.point / simulated.simulator.fqrn
    assert contents(point) == expected(FIRST)
    assert (mount.point / golden("none").fqrn).is_dir()
    simulated.publish(second())

    assert f"{simulated.simulator.fqrn}: revision 3 follows 2" in mount.ask("remount").split("\n")

    assert contents(point) == expected(second())


def test_nothing_can_be_written_at_the_top(cvmfs) -> None:
    mount, _ = cvmfs
    with pytest.raises(OSError) as raised:
        (mount.point / "directory").mkdir()
    assert raised.value.errno == errno.EROFS


def test_dots_lead_up(cvmfs) -> None:
    mount, _ = cvmfs
    point = mount.point / golden("none").fqrn
    assert (point / "..").stat().st_ino == mount.point.stat().st_ino
    assert (point / ".").stat().st_ino == point.stat().st_ino


def test_the_mount_answers_commands(cvmfs) -> None:
    mount: Mount = cvmfs[0]
    assert mount.ask("mountpoint") == str(mount.point)
    assert mount.ask("revision") == ""
    assert (mount.point / golden("none").fqrn).is_dir()
    assert mount.ask("revision").isdigit()
