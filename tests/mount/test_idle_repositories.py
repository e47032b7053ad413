"""Repositories that nobody uses let go of their memory, and `ls` of the mount of all shows those that are configured."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.golden import golden
from tests.mount.mounted import mounted, repository, wait_until
from tests.mount.test_golden_mount import compare
from tests.mount.test_one_mount_for_all import entry
from tests.mount.test_refresh import FIRST, Served, contents, expected, second

pytestmark = pytest.mark.mount

IDLE = 0.4
"""Seconds."""


def numbers(point: Path) -> dict[str, int]:
    """Every path with its inode number."""
    found = {}
    for directory, names, files in os.walk(point):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            found[path] = os.lstat(path).st_ino
    return found


def rests(mount) -> None:
    before = mount.log.read_text().count("is idle")
    wait_until(lambda: mount.log.read_text().count("is idle") > before)


def descriptors_in_cache(mount) -> int:
    """A catalog that is open has one more than one that rests: SQLite's own."""
    directory = Path(f"/proc/{mount.ask('pid')}/fd")
    names = []
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            names.append(os.readlink(path))
    return sum(name.startswith(str(mount.cache)) for name in names)


def test_an_idle_repository_keeps_its_numbers_and_all_that_it_shows(tmp_path):
    with mounted(tmp_path, idle=IDLE, **repository(golden("nested"))) as mount:
        before = numbers(mount.point)
        rests(mount)
        assert numbers(mount.point) == before
        compare(golden("nested").rows, mount.point)


def test_its_catalogs_are_closed_meanwhile(tmp_path):
    with mounted(tmp_path, idle=5.0, **repository(golden("nested"))) as mount:
        before = numbers(mount.point)
        catalogs = json.loads(mount.ask("status"))["repositories"][0]["catalogs"]
        assert catalogs > 10
        when_used = descriptors_in_cache(mount)
        rests(mount)
        wait_until(lambda: descriptors_in_cache(mount) <= when_used - min(catalogs, 90))
        assert numbers(mount.point) == before


def test_who_holds_a_file_or_a_directory_open_notices_nothing(tmp_path):
    repo = golden("none")
    row = max((row for row in repo.rows if row.type == "f"), key=lambda row: row.size)
    with mounted(tmp_path, idle=IDLE, **repository(repo)) as mount:
        path = f"{mount.point}{row.path.decode()}"
        script = f"exec 3<{path!s}; cd $(dirname {path!s}); echo ready; read go; cat <&3 | wc -c; ls | wc -l; /bin/pwd"
        with subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as shell:
            assert shell.stdout.readline() == "ready\n"
            rests(mount)
            told, _ = shell.communicate("go\n", timeout=30)
        size, count, where = told.split("\n")[:3]
        assert int(size) == row.size
        assert int(count) == len([name for name in os.listdir(os.path.dirname(path)) if not name.startswith(".")])
        assert where == os.path.realpath(os.path.dirname(path))


def test_it_comes_back_without_its_server(tmp_path):
    served = Served(tmp_path)
    served.publish(FIRST)
    with mounted(tmp_path, idle=IDLE, **served.request()) as mount:
        assert contents(mount.point) == expected(FIRST)
        rests(mount)
        served.directory.rename(tmp_path / "away")
        assert contents(mount.point) == expected(FIRST)


def test_a_new_revision_of_an_idle_repository_is_shown(tmp_path):
    served = Served(tmp_path)
    served.publish(FIRST)
    with mounted(tmp_path, idle=IDLE, **served.request()) as mount:
        assert contents(mount.point) == expected(FIRST)
        rests(mount)
        served.publish(second())
        assert "follows" in mount.ask("remount")
        assert contents(mount.point) == expected(second())
        rests(mount)
        assert contents(mount.point) == expected(second())


def test_one_that_is_used_does_not_rest_when_others_do(tmp_path):
    one, other = golden("none"), golden("rmd160")
    repositories = {repo.fqrn: entry(repo, tmp_path / "cache") for repo in (one, other)}
    with mounted(tmp_path, idle=IDLE, repositories=repositories) as mount:
        names = {repo.fqrn: os.listdir(mount.point / repo.fqrn) for repo in (one, other)}

        def other_rests() -> bool:
            os.path.exists(mount.point / one.fqrn / f"not-there-{os.urandom(8).hex()}")
            return f"{other.fqrn} is idle" in mount.log.read_text()

        wait_until(other_rests)
        assert f"{one.fqrn} is idle" not in mount.log.read_text()
        assert names == {repo.fqrn: os.listdir(mount.point / repo.fqrn) for repo in (one, other)}


def test_configured_repositories_are_listed_by_choice_before_anybody_uses_them(tmp_path):
    one, other = golden("none"), golden("rmd160")
    names = tmp_path / "names"
    names.write_text(json.dumps([other.fqrn, "down.example.org"]))
    repositories = {repo.fqrn: entry(repo, tmp_path / "cache") for repo in (one, other)}
    with mounted(tmp_path, listed=str(names), repositories=repositories) as mount:
        assert os.listdir(mount.point) == [other.fqrn, "down.example.org"]
        assert os.listdir(mount.point / one.fqrn)
        assert os.listdir(mount.point) == [other.fqrn, "down.example.org", one.fqrn]
        with os.scandir(mount.point) as entries:
            assert all(entry.is_dir() for entry in entries if entry.name != "down.example.org")
        names.write_text(json.dumps([other.fqrn, "new.example.org"]))
        wait_until(lambda: "new.example.org" in os.listdir(mount.point))
        assert "down.example.org" not in os.listdir(mount.point)


def test_a_listing_that_has_begun_goes_on_when_repositories_come_in_between(tmp_path):
    """One entry at a time, by its cookie, as the kernel does with small buffers."""
    from swrepo.vfs.many import ManyRepositories

    class Nothing:
        def open(self, name):
            raise AssertionError(name)

    names = ["a.example.org", "c.example.org"]
    many = ManyRepositories(Nothing(), {}, 0, lambda: names)
    seen, cookie = [], 0
    while found := many.listing(cookie):
        seen.append(found[0].name)
        cookie = found[0].cookie
        if len(seen) == 3:
            names.insert(1, "b.example.org")
            assert many.look_for_names()
    assert seen == [b".", b"..", b"a.example.org", b"c.example.org", b"b.example.org"]
