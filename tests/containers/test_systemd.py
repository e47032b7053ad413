"""The units, fstab lines and mount units under a real systemd: what an administrator types after installing the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers.booted import ROOT, Booted, require_systemd
from tests.mount.machines import FQRN

pytestmark = pytest.mark.mount

EXAMPLES = ROOT / "packaging/examples"
HELLO = f"/cvmfs/{FQRN}/hello"
ONE = f"swrepo@{FQRN}"


@pytest.fixture
def system(tmp_path: Path) -> Booted:
    require_systemd()
    return Booted(tmp_path)


def test_a_service_of_one_repository_starts_reloads_and_stops(system: Booted) -> None:
    script = f"""
        systemctl start {ONE}          # returns when the mount answers
        cat {HELLO}
        systemctl is-active {ONE}
        before=$(systemctl show -P MainPID {ONE})
        exec 5<{HELLO}
        echo CVMFS_QUOTA_LIMIT=1234 >>/etc/cvmfs/default.local
        systemctl reload {ONE}
        swrepo talk {FQRN} parameters | grep -o CVMFS_QUOTA_LIMIT=1234
        test $before = $(systemctl show -P MainPID {ONE})
        cat <&5; exec 5<&-
        systemctl stop {ONE}
        systemctl is-active {ONE} || :
        ls /cvmfs/{FQRN}
    """
    assert system.run(script).split() == ["hello", "active", "CVMFS_QUOTA_LIMIT=1234", "hello", "inactive"]


def test_a_reload_that_cannot_be_is_a_failure_of_the_reload_only(system: Booted) -> None:
    script = f"""
        systemctl start swrepo
        cat {HELLO}
        echo CVMFS_PUBLIC_KEY=/no/such/key >/etc/cvmfs/default.d/90-wrong.conf
        systemctl reload swrepo || echo refused
        systemctl is-active swrepo
        cat {HELLO}
        journalctl -u swrepo --no-pager | grep -o 'cannot read the public key /no/such/key' | head -1
    """
    wanted = "hello\nrefused\nactive\nhello\ncannot read the public key /no/such/key\n"
    assert system.run(script) == wanted


def test_what_is_killed_comes_back(system: Booted) -> None:
    script = f"""
        systemctl start {ONE}
        kill -9 $(swrepo talk {FQRN} pid)          # the worker: nobody notices
        cat {HELLO}
        systemctl show -P NRestarts {ONE}
        systemctl kill -s KILL {ONE}               # all of it: systemd starts it again
        until [ $(systemctl show -P NRestarts {ONE}) = 1 ] && systemctl -q is-active {ONE}; do sleep 0.1; done
        cat {HELLO}
    """
    assert system.run(script).split() == ["hello", "0", "hello"]


def test_all_repositories_take_the_place_of_one(system: Booted) -> None:
    script = f"""
        systemctl enable swrepo.target swrepo.service 2>&1 | grep -c Created
        systemctl start {ONE}
        systemctl start swrepo.target
        systemctl is-active {ONE} || :
        until systemctl -q is-active swrepo; do sleep 0.1; done
        cat {HELLO}
        findmnt -n -o TARGET -t fuse.swrepo
        systemctl stop swrepo.target
        until ! systemctl -q is-active swrepo; do sleep 0.1; done
        grep -q fuse.swrepo /proc/self/mounts || echo nothing
    """
    assert system.run(script).split() == ["2", "inactive", "hello", "/cvmfs", "nothing"]


def test_the_mount_unit_of_the_examples_mounts(system: Booted) -> None:
    unit = f"cvmfs-{FQRN}.mount"
    system.write(f"etc/systemd/system/{unit}", (EXAMPLES / unit).read_text())
    script = f"""
        systemctl start {unit}
        cat {HELLO}
        systemctl show -P ActiveState {unit}
        systemctl stop {unit}
        grep -q fuse.swrepo /proc/self/mounts || echo nothing
    """
    assert system.run(script).split() == ["hello", "active", "nothing"]


def test_a_line_of_fstab_mounts_at_once_or_when_it_is_touched(system: Booted) -> None:
    lines = (EXAMPLES / "fstab").read_text().splitlines()
    line = next(line for line in lines if line.startswith(FQRN))
    assert line.split()[1] == f"/cvmfs/{FQRN}"
    touched = line.replace(f"/cvmfs/{FQRN}", "/mnt/touched").replace("nofail", "nofail,noauto,x-systemd.automount")
    system.write("etc/fstab", f"{line}\n{touched}\n")
    (system.tree / "cvmfs" / FQRN).mkdir()
    script = f"""
        systemctl start remote-fs.target    # which wants it and, as it may fail, does not wait for it
        until cat {HELLO} 2>/dev/null; do sleep 0.1; done
        systemctl start mnt-touched.automount
        findmnt -n -o FSTYPE /mnt/touched
        cat /mnt/touched/hello
        findmnt -n -o FSTYPE /mnt/touched | tail -1
        systemctl stop mnt-touched.automount cvmfs-{FQRN}.mount
        grep -q fuse.swrepo /proc/self/mounts || echo nothing
    """
    assert system.run(script).split() == ["hello", "autofs", "hello", "fuse.swrepo", "nothing"]
