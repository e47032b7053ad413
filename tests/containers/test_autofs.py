"""autofs, as administrators of CernVM-FS know it: `cvmfs_config setup`, and a repository is mounted when it is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.containers.booted import Booted, require_systemd
from tests.mount.machines import FQRN

pytestmark = pytest.mark.mount

HELLO = f"/cvmfs/{FQRN}/hello"


@pytest.fixture
def system(tmp_path: Path) -> Booted:
    require_systemd()
    if shutil.which("automount", path="/usr/sbin") is None:
        pytest.skip("there is no autofs here")
    found = Booted(tmp_path)
    found.write("etc/auto.master", "+dir:/etc/auto.master.d\n")
    found.write("etc/nsswitch.conf", "automount: files\n")
    return found


def test_a_repository_is_mounted_when_it_is_touched_and_unmounted_when_it_is_idle(system: Booted) -> None:
    system.write("etc/autofs.conf", "[ autofs ]\ntimeout = 2\n")
    script = f"""
        cvmfs_config setup >&2
        systemctl start autofs
        ls /cvmfs
        cat {HELLO}
        cat {HELLO}
        findmnt -n -o FSTYPE,TARGET {HELLO.rpartition("/")[0]} | tr -s ' '
        ls /cvmfs
        cvmfs_config status | grep -o 'mounted on /cvmfs/{FQRN}'
        cvmfs_config probe
        ls /cvmfs/nonsense /cvmfs/other.example.org 2>/dev/null || echo neither
        while grep -q fuse.swrepo /proc/self/mounts; do sleep 0.2; done
        while pgrep -f 'mount.cvmfs {FQRN}' >/dev/null; do sleep 0.2; done
        echo 'nothing runs'
        cat {HELLO}
        systemctl stop autofs
    """
    wanted = f"""
        hello
        hello
        fuse.swrepo /cvmfs/{FQRN}
        {FQRN}
        mounted on /cvmfs/{FQRN}
        Probing /cvmfs/{FQRN}... OK
        neither
        nothing runs
        hello
    """
    assert [line.split() for line in system.run(script).splitlines()] == [
        x.split() for x in wanted.strip().splitlines()
    ]


def test_many_programs_touch_it_at_once(system: Booted) -> None:
    script = f"""
        cvmfs_config setup nostart >&2
        systemctl start autofs
        for i in 1 2 3 4 5 6 7 8; do cat {HELLO} & done
        wait
        grep -c fuse.swrepo /proc/self/mounts
        systemctl stop autofs
    """
    assert system.run(script).split() == ["hello"] * 8 + ["1"]
