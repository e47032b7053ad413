"""Watching mounts from outside: metrics over HTTP, logs for programs, `cvmfs_talk`, who may see which attribute."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from swrepo.system.openmetrics import Exposition
from tests.faults import status
from tests.mount.faulty import Faulty, Site, faulty, tree
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import mounted, require_fuse, wait_until

pytestmark = pytest.mark.mount

SAMPLE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+)\})? (?P<value>[0-9.e+-]+)')


class OverUnixSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def scraped(
    connection: http.client.HTTPConnection, path: str = "/metrics", method: str = "GET"
) -> tuple[int, str, str]:
    with closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers.get("Content-Type", ""), response.read().decode()


def samples(text: str) -> dict[str, float]:
    """Each sample by name and labels. The text is checked against the rules of OpenMetrics that collectors insist on."""
    assert text.endswith("# EOF\n")
    kinds: dict[str, str] = {}
    found: dict[str, float] = {}
    for line in text.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            family = next(reversed(kinds))
            suffixes = {
                "counter": ("_total",),
                "info": ("_info",),
                "histogram": ("_bucket", "_sum", "_count"),
                "gauge": ("",),
            }
            assert match["name"] in [family + suffix for suffix in suffixes[kinds[family]]], line
            key = match["name"] + (f"{{{match['labels']}}}" if match["labels"] else "")
            assert key not in found
            found[key] = float(match["value"])
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, tree("one", "two", "deep/three"), ())


def test_metrics_tell_what_happened(site: Site, tmp_path: Path) -> None:
    with faulty(tmp_path, site, expected=("failed",), metrics=str(tmp_path / "m")) as live:
        two = live.site.target("two")
        live.server.next(two, *[status(500)] * 2)  # the loop may ask first, and then the pool
        assert live.is_right("one")
        live.refusal("two")
        code, kind, text = scraped(OverUnixSocket(tmp_path / "m"))
        assert (code, kind.split(";")[0]) == (200, "application/openmetrics-text")
        found = samples(text)
        repository = f'{{repository="{site.simulator.fqrn}"}}'
        assert found[f"swrepo_revision{repository}"] == 2
        assert found[f"swrepo_failed_tries_total{repository}"] == live.server.count(two) > 0
        assert found[f"swrepo_cache_failures_total{repository}"] == 1
        assert found['swrepo_failures_total{error="EIO"}'] >= 1
        assert found["swrepo_files_opened_total"] == 2
        assert found['swrepo_requests_total{kind="read"}'] >= 2
        assert found['swrepo_waits_seconds_count{kind="read"}'] >= 1
        assert (
            found['swrepo_waits_seconds_bucket{kind="read",le="+Inf"}']
            == found['swrepo_waits_seconds_count{kind="read"}']
        )
        assert found[f"swrepo_received_bytes_total{repository}"] > 100
        assert found[f"swrepo_whitelist_expires_timestamp_seconds{repository}"] > 1_000_000_000
        assert samples(live.mount.ask("metrics") + "\n").keys() == found.keys()
    assert not (tmp_path / "m").exists()


def test_the_documents_name_every_metric(site: Site, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    with faulty(tmp_path, site) as live:
        families = re.findall(r"^# TYPE (\S+) (\S+)$", live.mount.ask("metrics"), re.MULTILINE)
    of_machines = Exposition()
    of_machines.of_usage(1, 0.0, 0.0)  # where something counts it
    families += re.findall(r"^# TYPE (\S+) (\S+)$", of_machines.text, re.MULTILINE)
    suffixes = {"counter": "_total", "info": "_info"}
    names = {name + suffixes.get(kind, "") for name, kind in families}
    assert names == set(re.findall(r"`(swrepo_[a-z_]+)`", text))


def test_a_change_to_another_server_is_counted(site: Site, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:1/nowhere", site.url]
    with mounted(tmp_path, **{**site.request(), "urls": urls}) as mount:
        assert (
            samples(mount.ask("metrics") + "\n")[
                f'swrepo_failovers_total{{repository="{site.simulator.fqrn}",to="server"}}'
            ]
            == 1
        )
        assert os.getxattr(mount.point, "user.host").decode() == site.url
        assert os.getxattr(mount.point, "user.host_list").decode() == f"{site.url};{urls[0]}"
    site.server.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_metrics_are_had_from_a_port_and_nothing_else_is(site: Site, tmp_path: Path) -> None:
    port = free_port()
    with faulty(tmp_path, site, metrics=f"127.0.0.1:{port}"):
        assert scraped(http.client.HTTPConnection("127.0.0.1", port))[0] == 200
        assert scraped(http.client.HTTPConnection("127.0.0.1", port), "/etc/passwd")[0] == 404
        assert scraped(http.client.HTTPConnection("127.0.0.1", port), method="POST")[0] == 405
        assert scraped(http.client.HTTPConnection("127.0.0.1", port), method="HEAD")[2] == ""
        with socket.create_connection(("127.0.0.1", port)) as nonsense:
            nonsense.sendall(b"\x00" * 10_000 + b"\r\n\r\n")
        assert scraped(http.client.HTTPConnection("127.0.0.1", port))[0] == 200


def test_a_port_that_is_taken_costs_the_metrics_and_not_the_mount(site: Site, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with faulty(tmp_path, site, expected=("no metrics at",), metrics=address) as live:
            assert live.is_right("one")
            assert live.log("no metrics at", address)


def test_metrics_come_back_with_the_worker(site: Site, tmp_path: Path) -> None:
    with faulty(tmp_path, site, expected=("died", "another takes"), metrics=str(tmp_path / "m")) as live:
        first = int(live.mount.ask("pid"))
        os.kill(first, 9)
        wait_until(lambda: is_another(live, first))
        assert scraped(OverUnixSocket(tmp_path / "m"))[0] == 200


def is_another(live: Faulty, first: int) -> bool:
    try:
        return int(live.mount.ask("pid")) != first
    except Exception:  # noqa: BLE001 - nobody listens yet
        return False


@pytest.mark.parametrize("listings", ["never", "always"])
def test_listings_show_attributes_as_configured(site: Site, tmp_path: Path, listings: str) -> None:
    with faulty(tmp_path, site, listings=listings) as live:
        top, file = os.listxattr(live.path()), os.listxattr(live.path("one"))
        assert os.getxattr(live.path("one"), "user.fqrn").decode() == site.simulator.fqrn
        if listings == "never":
            assert top == file == []
        else:
            assert {"user.hash", "user.fqrn", "user.pid", "user.lhash"} <= set(file)
            assert "user.hash" not in top
            assert all(os.getxattr(live.path("one"), name) is not None for name in file)


def test_protected_attributes_are_read_by_privileged_groups_only(site: Site, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    with faulty(tmp_path, site, allow_other=True, protected=["user.pid"], privileged=[4242]) as live:
        program = "import os, sys; print(os.getxattr(sys.argv[1], 'user.pid').decode())"

        def pid(group: int) -> str:
            return subprocess.run(
                ["python3", "-c", program, live.path()],
                user=4242 + 1,
                group=group,
                extra_groups=[],
                capture_output=True,
                text=True,
                cwd="/",
                check=False,
            ).stdout.strip()

        for directory in (tmp_path, *tmp_path.parents):
            if directory.stat().st_uid == 0 and directory.is_relative_to("/tmp/"):
                directory.chmod(0o755)
        assert pid(4242) == live.mount.ask("pid")
        assert pid(4243) == ""
        assert os.getxattr(live.path(), "user.pid").decode() == live.mount.ask("pid")
        assert b"user.pid" in b"".join(map(os.fsencode, os.listxattr(live.path())))


def test_counters_are_sent_to_an_influx_database(site: Site, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as database:
        database.bind(("127.0.0.1", 0))
        database.settimeout(20)
        where = {"host": "127.0.0.1", "port": database.getsockname()[1], "name": "a name", "rate": 0.05}
        telemetry = {**where, "tags": "site=here", "fields": "ours=1"}
        with faulty(tmp_path, site, telemetry=telemetry) as live:
            assert live.is_right("one")
            wanted = rf"a\\ name_absolute,repo={re.escape(site.simulator.fqrn)},site=here (\S+),ours=1 \d{{19}}\n"
            while True:  # those that were on their way when the file was read tell nothing of it
                match = re.fullmatch(wanted, database.recv(65536).decode())
                assert match
                fields = dict(pair.split("=") for pair in match[1].split(","))
                if fields["cvmfs.n_fs_open"] == "1":
                    break
            assert int(fields["download.n_requests"]) > 0


# Programs


@pytest.fixture
def machine(tmp_path: Path):
    require_fuse()
    found = Machine(tmp_path)
    found.configure("default.local", CVMFS_REPOSITORIES=FQRN)
    (found.prefix / "cvmfs").mkdir()
    yield found
    found.unmount()


def test_cvmfs_talk_asks_a_repository_by_its_name(machine: Machine) -> None:
    machine.run("swrepo", "mount", "--all")
    assert machine.run("cvmfs_talk", "-i", FQRN, "revision", code=27) == ""
    assert "is not mounted" in machine.shown.stderr
    assert (machine.prefix / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    assert machine.run("cvmfs_talk", "-i", FQRN, "revision") == "2\n"
    assert machine.run("cvmfs_talk", "revision") == f"{FQRN}:\n2\n"
    assert machine.run("swrepo", "talk", FQRN, "revision") == "2\n"
    assert re.fullmatch(
        r"Current cache size is \d+MB \(\d+ Bytes\), pinned: \d+MB \(\d+ Bytes\)\n",
        machine.run("cvmfs_talk", "-i", FQRN, "cache", "size"),
    )
    machine.run("cvmfs_talk", "-i", FQRN, "no", "such", "command", code=1)
    machine.run("cvmfs_talk", code=2)


def test_cvmfs_talk_takes_a_socket(machine: Machine) -> None:
    machine.run("swrepo", "mount", FQRN, machine.prefix / "mnt", "--cache", machine.prefix / "elsewhere")
    path = machine.prefix / "elsewhere" / f"cvmfs_io.{FQRN}"
    assert machine.run("cvmfs_talk", "-p", path, "mountpoint") == f"{machine.prefix / 'mnt'}\n"


def test_a_mount_with_a_cache_of_its_own_is_found_by_its_directory_or_name(machine: Machine) -> None:
    point = machine.prefix / "mnt"
    machine.run("swrepo", "mount", FQRN, point, "--cache", machine.prefix / "elsewhere")
    assert machine.run("swrepo", "talk", point, "revision") == "2\n"
    assert machine.run("swrepo", "talk", FQRN, "revision") == "2\n"
    assert machine.run("cvmfs_talk", "-i", FQRN, "revision") == "2\n"
    records = machine.prefix / "run/swrepo"
    assert len(list(records.iterdir())) == 1
    pid = int(machine.run("swrepo", "talk", point, "pid"))
    machine.run("swrepo", "umount", point)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert list(records.iterdir()) == []


def test_logs_can_be_objects_for_programs(machine: Machine) -> None:
    log = machine.prefix / "log"
    machine.run(
        "swrepo",
        "mount",
        FQRN,
        machine.prefix / "mnt",
        "-o",
        f"CVMFS_LOG_FORMAT=json,CVMFS_USYSLOG={log},CVMFS_SYSLOG_PREFIX=here",
    )
    machine.publish("more", "more")
    assert machine.run("swrepo", "talk", FQRN, "remount") == "revision 3 follows 2\n"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["message"] for line in lines if line["logger"] == "swrepo.mount.refresh"] == [
        f"{FQRN}: revision 3 follows 2"
    ]
    assert all(line["prefix"] == "here" and {"time", "level", "process", "thread"} <= set(line) for line in lines)


def test_metrics_of_all_repositories_are_had_where_the_option_says(machine: Machine) -> None:
    machine.run("swrepo", "mount", "--all", "-o", f"metrics={machine.prefix}/metrics")
    assert (machine.prefix / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    found = samples(scraped(OverUnixSocket(machine.prefix / "metrics"))[2])
    assert found[f'swrepo_revision{{repository="{FQRN}"}}'] == 2
    machine.run("swrepo", "umount", machine.prefix / "cvmfs")
    assert (
        "CVMFS_METRICS"
        in machine.run("swrepo", "mount", "--all", "-o", "metrics=nonsense", code=3) + machine.shown.stderr
    )


def test_sending_needs_to_know_where_to(machine: Machine) -> None:
    options = "CVMFS_TELEMETRY_SEND=yes,CVMFS_INFLUX_HOST=localhost"
    machine.run("swrepo", "mount", FQRN, machine.point, "-o", options, code=3)
    assert "CVMFS_INFLUX_PORT" in machine.shown.stderr
