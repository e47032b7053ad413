"""Magic extended attributes of real mounts: names, formats and listings are those of CernVM-FS."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tests.faults import held, on_objects
from tests.golden import Golden, golden
from tests.mount.faulty import Site, faulty, tree
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_refresh import FIRST, Served, second

pytestmark = pytest.mark.mount

NAMES_AT_THE_TOP = """
catalog_counters expires external_host external_timeout fqrn hitrate host host_list inode_max logbuffer maxfd ncleanup24
nclg ndiropen ndownload nioerr nopen pid proxy proxy_list proxy_list_external pubkeys repo_counters repo_metainfo
revision root_hash rx speed tag timeout timeout_direct timestamp_last_ioerr uptime useddirp usedfd version
"""
OF_THE_MACHINE = {"user.host", "user.host_list", "user.inode_max", "user.maxfd", "user.timeout_direct", "user.version"}
OF_THE_CLIENT = {"user.lhash", "user.repo_metainfo", "user.pubkeys"}


@pytest.fixture(scope="module", params=["basic", "chunked", "nested", "rmd160", "shake128", "none"])
def repo(request: pytest.FixtureRequest) -> Golden:
    return golden(request.param)


@pytest.fixture(scope="module")
def mount(repo: Golden, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    with mounted(tmp_path_factory.mktemp("mount"), **repository(repo)) as mount:
        yield mount


def recorded(repo: Golden) -> list[tuple[bytes, str, bytes]]:
    """What the original answered: path, name, value."""
    rows = []
    for line in (repo.path / "magic-xattrs.tsv").read_bytes().splitlines():
        path, name, value = line.split(b"\t")
        rows.append((unquote_to_bytes(path), name.decode(), unquote_to_bytes(value)))
    return rows


def read(mount: Mount, path: bytes, name: str) -> bytes:
    return os.getxattr(os.fsencode(mount.point) + path, name, follow_symlinks=False)


def test_values_are_those_of_the_original(repo: Golden, mount: Mount) -> None:
    rows = [row for row in recorded(repo) if row[1] not in OF_THE_MACHINE | OF_THE_CLIENT]
    assert len(rows) > 50
    for path, name, value in rows[:3000]:
        if os.geteuid() != 0 and not os.access(os.fsencode(mount.point) + path, os.R_OK):
            continue  # what one may not read has no attributes for one
        assert read(mount, path, name) == value, (path, name)


def test_the_top_lists_the_names_that_the_original_lists(mount: Mount) -> None:
    expected = {f"user.{name}" for name in NAMES_AT_THE_TOP.split()}
    found = [name for name in os.listxattr(mount.point) if name != "user.kept"]
    assert set(found) >= expected
    assert len(found) == len(set(found))


def test_entries_list_only_what_was_published(repo: Golden, mount: Mount) -> None:
    for row in repo.rows[1:200]:
        if row.type in "dl" or row.type == "f":
            listed = os.listxattr(os.fsencode(mount.point) + row.path, follow_symlinks=False)
            assert {os.fsencode(name) for name in listed} == set(row.xattrs), row.path


def test_programs_for_attributes_read_them(repo: Golden, mount: Mount) -> None:
    if repo.name != "basic":
        pytest.skip("one repository is enough for this")
    program = "import os, sys; print(os.getxattr(sys.argv[1], 'user.fqrn').decode())"
    ran = subprocess.run(["python3", "-c", program, mount.point], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{repo.fqrn}\n"


def test_the_public_keys_are_those_that_are_trusted(repo: Golden, mount: Mount) -> None:
    assert read(mount, b"", "user.pubkeys").split() == repo.public_key.read_bytes().split()


def test_a_local_hash_tells_whether_the_copy_in_the_cache_is_whole(repo: Golden, mount: Mount) -> None:
    full = {row.path for row in repo.rows if row.type == "f" and row.size and row.mode & 0o400}
    path = next(path for path, name, _ in recorded(repo) if name == "user.hash" and path in full)
    assert read(mount, path, "user.lhash") == b"Not in cache"
    Path(os.fsdecode(os.fsencode(mount.point) + path)).read_bytes()
    assert read(mount, path, "user.lhash") == read(mount, path, "user.hash")


def test_what_is_not_there_is_missing(mount: Mount) -> None:
    for name in ("user.hash", "user.nothing", "user.fqrn~1", "user.fqrn~x", "user.chunks"):
        with pytest.raises(OSError) as raised:
            read(mount, b"", name)
        assert raised.value.errno == errno.ENODATA


def test_a_long_value_comes_in_pages(repo: Golden, mount: Mount) -> None:
    whole = read(mount, b"", "user.repo_counters")
    assert read(mount, b"", "user.repo_counters~?") == b"num_pages, 1"
    assert read(mount, b"", "user.repo_counters~0") == whole
    headed = read(mount, b"", "user.repo_counters@0")
    assert headed.startswith(b"# ")
    assert headed.endswith(whole)
    assert b"Pages available: 1" in read(mount, b"", "user.repo_counters@?")


# Mounts of many repositories, and new revisions


def test_each_repository_of_a_mount_of_many_has_its_own(tmp_path: Path) -> None:
    repositories = {
        one.fqrn: {**repository(one), "cache": str(tmp_path / "cache"), "fqrn": one.fqrn}
        for one in (golden("none"), golden("rmd160"))
    }
    with mounted(tmp_path, repositories=repositories) as mount:
        assert "user.pid" in os.listxattr(mount.point)
        assert "user.fqrn" not in os.listxattr(mount.point)
        with pytest.raises(OSError):
            read(mount, b"", "user.fqrn")
        for name in repositories:
            assert read(mount, b"/" + name.encode(), "user.fqrn") == name.encode()
            assert {"user.fqrn", "user.pid", "user.host"} <= set(os.listxattr(mount.point / name))
        assert read(mount, b"", "user.pid") == mount.ask("pid").encode()
        first, second = sorted(repositories)
        assert mount.ask(f"in {first} parameters") == mount.ask("parameters") == ""
        assert mount.ask(f"in {second} revision") == read(mount, b"/" + second.encode(), "user.revision").decode()
        assert mount.ask("in other.example.org revision").startswith("error: ")
        assert len(mount.ask("revision").splitlines()) == 2


def test_a_file_that_is_open_keeps_its_attributes_over_a_new_revision(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.publish(FIRST)
    with (
        mounted(tmp_path, **served.request()) as mount,
        open(mount.point / "changed", "rb") as file,
        open(mount.point / "removed", "rb") as gone,
    ):
        before = os.getxattr(file.fileno(), "user.hash"), os.getxattr(gone.fileno(), "user.chunk_list")
        served.publish(second())
        assert mount.ask("remount") == "revision 3 follows 2"
        assert read(mount, b"", "user.revision") == b"3"
        assert (os.getxattr(file.fileno(), "user.hash"), os.getxattr(gone.fileno(), "user.chunk_list")) == before
        assert read(mount, b"/changed", "user.hash") != before[0]
        assert os.getxattr(gone.fileno(), "user.fqrn") == served.simulator.fqrn.encode()


def test_what_would_have_to_be_fetched_does_not_keep_others_waiting(tmp_path: Path) -> None:
    """The catalog of a directory is fetched when its counters are asked for; a server that stalls stalls nobody else."""
    site = Site(tmp_path, tree("top", "nested/inner"), (b"/nested",))
    with faulty(tmp_path, site) as live:
        until = threading.Event()
        live.server.always(on_objects(held(until)))
        waiting = subprocess.Popen(
            ["python3", "-c", "import os, sys; os.getxattr(sys.argv[1], 'user.catalog_counters')", live.path("nested")]
        )
        try:
            wait_until(lambda: live.server.requests and live.server.requests[-1].target.endswith("C"))
            assert os.getxattr(live.path("top"), "user.fqrn") == site.simulator.fqrn.encode()
            assert waiting.poll() is None
        finally:
            until.set()
        assert waiting.wait(20) == 0
