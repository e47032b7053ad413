"""What a mount answers on its control socket: the original's commands, in the formats that scripts read."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.mount.watch_commands import NOT_HERE
from tests.faults import status
from tests.mount.faulty import Faulty, Site, faulty, read, tree
from tests.mount.mounted import wait_until

pytestmark = pytest.mark.mount

FILES = ("one", "two", "deep/three")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, tree(*FILES), ())


@pytest.fixture
def live(site: Site, tmp_path: Path) -> Iterator[Faulty]:
    with faulty(
        tmp_path,
        site,
        metrics=str(tmp_path / "metrics.sock"),
        origins={"CVMFS_A": "/etc/x"},
        variables={"CVMFS_A": "b"},
    ) as live:
        yield live


def ask(live: Faulty, command: str) -> str:
    return live.mount.ask(command)


def test_servers_are_told_and_exchanged(live: Faulty) -> None:
    url = live.site.url
    assert ask(live, "host info") == f"  [0] {url} (unprobed)\nActive host 0: {url}"
    assert ask(live, "host probe") == "OK"
    assert re.fullmatch(
        rf"  \[0\] {re.escape(url)} \(\d+ ms\)\nActive host 0: {re.escape(url)}", ask(live, "host info")
    )
    assert ask(live, f"host set http://127.0.0.1:1/x;{url}") == "OK"
    assert ask(live, "host info").splitlines()[-1] == "Active host 0: http://127.0.0.1:1/x"
    assert ask(live, "host switch") == "OK"
    assert ask(live, "host info").splitlines()[-1] == f"Active host 1: {url}"
    assert live.is_right("one")
    assert ask(live, "host probe") == "OK"
    assert ask(live, "host info").splitlines()[1] == "  [1] http://127.0.0.1:1/x (host down)"


def test_proxies_are_told_and_exchanged(live: Faulty) -> None:
    assert ask(live, "proxy info") == "Load-balance groups:\n[0] DIRECT\nActive proxy: [0] DIRECT"
    assert ask(live, "proxy set http://127.0.0.1:1|http://127.0.0.1:2;DIRECT") == "OK"
    lines = ask(live, "proxy info").splitlines()
    assert lines[1:3] == ["[0] http://127.0.0.1:1, http://127.0.0.1:2", "[1] DIRECT"]
    assert ask(live, "proxy rebalance") == "OK"
    assert re.fullmatch(r"Active proxy: \[0\] http://127.0.0.1:[12]", ask(live, "proxy info").splitlines()[-1])
    assert ask(live, "proxy group switch") == "OK"
    assert ask(live, "proxy info").splitlines()[-1] == "Active proxy: [1] DIRECT"
    assert live.is_right("one")
    assert ask(live, "proxy fallback http://127.0.0.1:3") == "OK"
    assert ask(live, "proxy info").splitlines()[3] == "[2] http://127.0.0.1:3"
    assert ask(live, "proxy set").startswith("error: ")


def test_timeouts_are_told_and_set(live: Faulty) -> None:
    assert ask(live, "timeout set 3 7") == "OK"
    assert ask(live, "timeout info") == "Timeout with proxy: 3s\nTimeout without proxy: 7s"
    for nonsense in ("timeout set", "timeout set a b", "timeout set 0 1", "timeout set 1"):
        assert ask(live, nonsense).startswith("error: ")


def test_the_longest_time_between_two_looks_is_told_and_set(live: Faulty) -> None:
    assert ask(live, "max ttl info") == "unset"
    assert ask(live, "max ttl set 2") == "OK"
    assert ask(live, "max ttl info") == "2 minutes"
    wait_until(lambda: os.getxattr(live.mount.point, "user.expires") in (b"1", b"2"))
    assert ask(live, "max ttl set 0") == "OK"
    assert ask(live, "max ttl info") == "unset"


def test_processes_and_versions_are_told(live: Faulty) -> None:
    worker, guard = int(ask(live, "pid")), int(ask(live, "pid watchdog"))
    assert int(ask(live, "pid cachemgr")) == worker
    status_of_worker = Path(f"/proc/{worker}/status").read_text()
    assert f"PPid:\t{guard}\n" in status_of_worker
    assert ask(live, "version patchlevel") == "0"
    assert re.fullmatch(r"\d+:\d+", ask(live, "device id"))
    assert (
        ask(live, "device id")
        == f"{os.major(live.mount.point.stat().st_dev)}:{os.minor(live.mount.point.stat().st_dev)}"
    )


def test_parameters_are_told_with_their_files(live: Faulty) -> None:
    assert ask(live, "parameters") == "CVMFS_A=b    # from /etc/x"


def test_counters_have_the_originals_names(live: Faulty) -> None:
    assert live.is_right("one")
    rows = dict(line.split("|")[:2] for line in ask(live, "internal affairs").splitlines() if line.count("|") == 2)
    assert int(rows["cvmfs.n_fs_open"]) == 1
    assert int(rows["cvmfs.n_fs_lookup"]) >= 1
    assert int(rows["download.sz_transferred_bytes"]) > 0
    assert int(rows["fetch.n_downloads"]) >= 1
    assert int(rows["ahead.n_fetched"]) == int(rows["ahead.n_used"]) + int(rows["ahead.n_wasted"])


def test_errors_are_counted_until_somebody_resets_them(site: Site, tmp_path: Path) -> None:
    with faulty(tmp_path, site, expected=("failed", "one")) as live:
        live.server.next(live.site.target("one"), *[status(404)] * 2)  # the loop may ask first
        assert os.getxattr(live.mount.point, "user.nioerr") == b"0"
        assert os.getxattr(live.mount.point, "user.timestamp_last_ioerr") == b"0"
        live.refusal("one")
        assert int(os.getxattr(live.mount.point, "user.nioerr")) >= 1
        assert int(os.getxattr(live.mount.point, "user.timestamp_last_ioerr")) > 1_000_000_000
        assert ask(live, "reset error counters") == "OK"
        assert os.getxattr(live.mount.point, "user.nioerr") == b"0"


def test_latencies_of_answers_that_had_to_fetch_are_told(live: Faulty) -> None:
    assert live.is_right("one")
    rows = {line.split(",")[1]: line.split(",") for line in ask(live, "latency").splitlines()}
    assert int(rows['"read"'][2]) >= 1
    assert 0 < int(rows['"read"'][9]) <= int(rows['"read"'][-1])


def test_what_the_kernel_knows_is_listed(live: Faulty) -> None:
    number = (live.mount.point / "deep/three").stat().st_ino
    directory = (live.mount.point / "deep").stat().st_ino
    assert {str(number), str(directory)} <= set(ask(live, "vfs inodes").splitlines())
    assert {f"<{directory}>/three", "<1>/deep"} <= set(ask(live, "vfs entries").splitlines())


def test_a_mount_can_be_put_on_one_revision_for_good(live: Faulty) -> None:
    first = os.getxattr(live.mount.point, "user.root_hash").decode()
    live.site.publish(tree(*FILES, "four"))
    assert ask(live, "remount") == "revision 3 follows 2"
    assert (live.mount.point / "four").exists()
    assert ask(live, f"chroot {first}") == "fixed at revision 2"
    assert not (live.mount.point / "four").exists()
    assert ask(live, "remount") == "fixed at revision 2"
    assert ask(live, "chroot nonsense").startswith("error: ")
    assert ask(live, f"chroot {'0' * 40}").startswith("error: ")
    assert read(live.path("one"))[0] == live.site.content("one")


def test_commands_for_what_is_not_here_say_what_to_do(live: Faulty) -> None:
    for name in NOT_HERE:
        assert ask(live, name) == f"error: {NOT_HERE[name]}"
    assert "start of swrepo" in ask(live, "hotpatch history")


def test_what_is_used_is_counted_on_request(live: Faulty) -> None:
    assert live.is_right("two")
    assert "paths" in ask(live, "accesses start")
    assert live.is_right("one")
    assert live.is_right("deep/three")
    subprocess.run(["ls", live.path("deep")], check=True, capture_output=True)
    assert ask(live, "accesses stop") == "4 paths were used"
    shown = ask(live, "accesses show").splitlines()
    rows = {line.split()[5]: line.split() for line in shown[1:]}
    assert int(rows["/one"][0]) >= 1
    assert int(rows["/one"][1]) >= len(live.site.content("one"))
    assert int(rows["/deep"][4]) >= 1
    assert "/two" not in rows
    assert len(ask(live, "accesses show 1").splitlines()) == 2
    assert ask(live, "accesses nonsense").startswith("error: ")


def test_the_log_says_as_much_as_is_asked_for(live: Faulty) -> None:
    assert ask(live, "log level") == "info"
    assert ask(live, "log level debug") == "debug"
    assert ask(live, "log level warning") == "warning"
    live.site.publish(tree(*FILES, "four"))
    before = live.log("follows")
    ask(live, "remount")
    assert live.log("follows") == before
    assert "revision 3 follows 2" in ask(live, "log show")
    assert ask(live, "log level info") == "info"
    assert ask(live, "log level loud").startswith("error: ")
