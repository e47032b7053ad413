"""Programs that watch CernVM-FS on clusters read us as they read the original: by what they ask, and how they parse it.

collectd-cvmfs and servermon-like plugins read extended attributes and the memory of `user.pid`; check_cvmfs.sh for Nagios
reads attributes, `cvmfs_config stat` and `cvmfs_talk`; storage drivers for Kubernetes look at the table of mounts and probe.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse

pytestmark = pytest.mark.mount

COLLECTD = [
    "hitrate",
    "ncleanup24",
    "nclg",
    "ndiropen",
    "ndownload",
    "nioerr",
    "nopen",
    "inode_max",
    "pid",
    "maxfd",
    "usedfd",
    "useddirp",
    "uptime",
    "rx",
    "speed",
    "revision",
    "timestamp_last_ioerr",
    "expires",
]


@pytest.fixture
def machine(tmp_path):
    require_fuse()
    found = Machine(tmp_path)
    found.configure("default.local", CVMFS_REPOSITORIES=FQRN)
    found.run("cvmfs_config", "setup", "nocfgmod", "noautofs")
    found.run("swrepo", "mount", "--all")
    (found.prefix / "cvmfs" / FQRN / "hello").read_bytes()
    yield found
    found.unmount()


def attribute(machine: Machine, name: str) -> str:
    return os.getxattr(machine.prefix / "cvmfs" / FQRN, f"user.{name}").decode().strip()


def test_a_collector_gets_a_number_for_each_of_its_metrics(machine):
    values = {name: float(attribute(machine, name)) for name in COLLECTD}
    assert values["revision"] == 2
    assert values["nioerr"] == 0
    assert 0 < values["usedfd"] < values["maxfd"]


def test_a_collector_finds_the_memory_of_the_process_that_serves(machine):
    status = Path("/proc", attribute(machine, "pid"), "status").read_text()
    assert int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) > 1000


def test_a_check_compares_the_version_and_the_hosts(machine):
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.\d+)?", attribute(machine, "version"))
    assert attribute(machine, "host") == machine.storage.as_uri()
    assert attribute(machine, "fqrn") == FQRN
    assert re.fullmatch(r"[0-9a-f]{40}", attribute(machine, "root_hash"))


def test_a_check_divides_what_the_cache_holds_by_what_it_may(machine):
    talked = machine.run("cvmfs_talk", "-i", FQRN, "cache", "size")
    assert re.fullmatch(r"Current cache size is \d+MB \(\d+ Bytes\), pinned: \d+MB \(\d+ Bytes\)\n", talked)
    heads, figures = (line.split() for line in machine.run("cvmfs_config", "stat", FQRN).splitlines())
    row = dict(zip(heads, figures, strict=True))
    assert 0 <= int(row["CACHEUSE(K)"]) <= int(row["CACHEMAX(K)"])
    assert int(row["NOIOERR"]) == 0
    assert float(row["HITRATE(%)"]) <= 100


def test_a_storage_driver_finds_the_mount_and_probes_it(machine):
    table = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = {fields[1]: fields[2] for fields in table}
    assert kinds[str(machine.prefix / "cvmfs")].startswith("fuse")
    assert machine.run("cvmfs_config", "probe", FQRN).endswith("OK\n")
    assert "Failed!" in machine.run("cvmfs_config", "probe", "other.example.org", code=1)
