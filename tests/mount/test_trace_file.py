"""CVMFS_TRACEFILE: which requests a mount got, as CSV, in the format that tools for CernVM-FS read."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mount.faulty import Site, tree
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import mounted, wait_until

pytestmark = pytest.mark.mount

FIRST, LAST, FLUSHED = "Trace buffer created", "Destroying trace buffer...", "flushed ring buffer"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path, tree("one", "two", "deep/three", 'deep/with "quotes"'), ())
    yield found
    found.kill_server()


def rows(file: Path) -> list[tuple[str, str, str]]:
    """Kind, path and message of each line, once the form of all of them was checked."""
    raw = file.read_bytes().decode()
    assert raw.endswith('"\r\n')
    found = list(csv.reader(raw.splitlines(keepends=True), strict=True))
    for moment, *rest in found:
        milliseconds, _, rest_of_it = moment.partition(".")
        assert abs(int(milliseconds) - time.time() * 1000) < 3_600_000
        assert len(rest_of_it) == 3
        assert len(rest) == 3
    return [(kind, path, message) for _, kind, path, message in found]


def test_each_request_is_a_line_in_the_format_of_the_original(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    with mounted(tmp_path, **site.request(), trace={"file": str(file)}) as mount:
        (mount.point / "one").read_bytes()
        (mount.point / 'deep/with "quotes"').read_bytes()
        os.listdir(mount.point / "deep")
        os.getxattr(mount.point / "one", "user.revision")
        os.statvfs(mount.point)
        assert not (mount.point / "nothing").exists()
        assert file.read_bytes() == b"", "it waits in memory"
        assert mount.ask("tracebuffer flush") == "OK"
        found = rows(file)
        assert found[0] == ("-1", "Tracer", FIRST)
        assert found[-1] == ("-3", "Tracer", FLUSHED)
        wanted = [
            ("4", "/one", "lookup()"),
            ("1", "/one", "open()"),
            ("4", "/deep", "lookup()"),
            ("4", '/deep/with "quotes"', "lookup()"),
            ("1", '/deep/with "quotes"', "open()"),
            ("2", "/deep", "opendir()"),
            ("8", "/one", "getxattr()"),
            ("5", "", "statfs()"),
            ("4", "/nothing", "lookup()"),
        ]
        assert list(dict.fromkeys(row for row in found if row in wanted)) == wanted
        (mount.point / "one").read_bytes()
    later = rows(file)[len(found) :]
    assert ("1", "/one", "open()") in later, "what is opened again is told again"
    assert later[-1] == ("-2", "Tracer", LAST), "the end of the mount writes the rest"


def test_lines_are_written_when_there_are_more_than_the_threshold(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    with mounted(tmp_path, **site.request(), trace={"file": str(file), "size": 8, "threshold": 4}) as mount:
        for _ in range(50):
            (mount.point / "one").read_bytes()
        wait_until(lambda: len(rows(file)) > 40)
        (mount.point / "two").read_bytes()
    found = rows(file)
    assert sum(row[0] == "1" for row in found) == 51, "no line is lost where the writer is slower than the requests"
    assert found[-1] == ("-2", "Tracer", LAST)


def test_a_file_that_cannot_be_written_is_a_line_in_the_log_and_no_failure(site: Site, tmp_path: Path) -> None:
    with mounted(
        tmp_path,
        **site.request(),
        trace={"file": str(tmp_path / "no/such/place")},
        expected=("cannot write the trace",),
    ) as mount:
        assert (mount.point / "one").read_bytes()
        assert mount.ask("tracebuffer flush") == "OK"
    assert "No such file or directory" in mount.log.read_text()


def test_a_full_disk_loses_lines_and_no_request(site: Site, tmp_path: Path) -> None:
    full = {"file": "/dev/full", "size": 4, "threshold": 1}
    with mounted(tmp_path, **site.request(), trace=full, expected=("trace /dev/full",)) as mount:
        for _ in range(20):
            assert (mount.point / "one").read_bytes()
    text = mount.log.read_text()
    assert "cannot write the trace /dev/full: No space left on device" in text
    assert "requests are missing in the trace" in text


def test_the_parameters_ask_for_it_and_a_reload_goes_on_with_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    file = tmp_path / "trace.csv"
    machine.configure("default.local", CVMFS_TRACEFILE=file, CVMFS_TRACEBUFFER=100, CVMFS_TRACEBUFFER_THRESHOLD=50)
    try:
        machine.run("swrepo", "mount", FQRN, machine.point)
        (machine.point / "hello").read_text()
        machine.run("swrepo", "talk", machine.point, "reload")
        wait_until(lambda: len(machine.run("swrepo", "talk", machine.point, "hotpatch", "history").splitlines()) == 2)
        (machine.point / "hello").read_text()
        assert machine.run("swrepo", "talk", FQRN, "tracebuffer", "flush") == "OK\n"
        before = rows(file)
    finally:
        machine.unmount()
    assert [row[0] for row in before if row[1:] == ("/hello", "open()")] == ["1", "1"]
    wait_until(lambda: rows(file)[-1][2] == LAST)
    assert [row[2] for row in rows(file) if row[1] == "Tracer"] == [FIRST, LAST, FIRST, FLUSHED, LAST]
