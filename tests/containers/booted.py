"""A system of its own with a real systemd as process 1: namespaces, a tree of empty directories, and the machine's /usr.

Our programs lie in /usr/bin and /usr/sbin there, the units in /etc/systemd/system, the configuration in /etc/cvmfs, as after an
installation; nothing of it is on the machine. A script runs as a service, and the system ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse
from tests.mount.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
_DIRECTORIES = """
usr etc/systemd/system etc/cvmfs/keys etc/cvmfs/default.d etc/auto.master.d tmp proc dev sys run root home cvmfs mnt
var/tmp var/lib/cvmfs var/log srv test
"""
_MERGED = ("bin", "sbin", "lib", "lib64")

_BOOT = """
set -eu
tree=$1 extra=$2; shift 2
hierarchy=/sys/fs/cgroup; [ ! -d $hierarchy/unified ] || hierarchy=$hierarchy/unified
group=$hierarchy/swrepo-test-$$
mkdir $group
echo $$ >$group/cgroup.procs
unshare --mount --pid --fork --cgroup --uts --ipc --propagation=private --kill-child sh -euc '
    tree=$1 extra=$2; shift 2
    mount --bind $tree $tree
    mount --bind /usr $tree/usr
    for name in bin sbin; do
        mount -t overlay -o lowerdir=$extra/$name:/usr/$name overlay $tree/usr/$name
    done
    for place in "$@"; do
        case $place in /usr/*) continue;; esac
        mkdir -p $tree$place
        mount --rbind $place $tree$place
    done
    mount --rbind /dev $tree/dev
    mount -t proc proc $tree/proc
    mount -t sysfs sysfs $tree/sys
    mount -t cgroup2 none $tree/sys/fs/cgroup
    mount -t tmpfs tmpfs $tree/run
    mkdir -p $tree/old
    cd $tree
    pivot_root . old
    cd /
    umount -l /old
    exec env -i container=test PATH=/usr/bin:/usr/sbin /lib/systemd/systemd \\
        --system --unit=test.target --show-status=no </dev/null
' sh $tree $extra "$@" || :
echo $$ >$hierarchy/cgroup.procs
find $group -depth -type d -exec rmdir {} +
"""

_TARGET = "[Unit]\nWants=test.service\n"
_SERVICE = """
[Unit]
Requires=basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -eux /test/script
StandardOutput=file:/test/out
StandardError=file:/test/err
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/test/status; journalctl --no-pager -t systemd -u swrepo -u swrepo@* >/test/journal; systemctl --no-block exit 0'
"""


class Booted:
    """`run` boots it, runs a script and gives what that wrote."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine(directory)
        self.tree = directory / "tree"
        self.extra = directory / "extra"
        for name in _DIRECTORIES.split():
            (self.tree / name).mkdir(parents=True, exist_ok=True)
        for name in _MERGED:
            (self.tree / name).symlink_to(f"usr/{name}")
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        self.write("etc/machine-id", "")
        self.write("etc/systemd/system/test.target", _TARGET)
        self.write("etc/systemd/system/test.service", _SERVICE)
        self._install()

    def write(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, script: str) -> str:
        """Its standard output; it is run with -e."""
        self.write("test/script", script)
        places = dict.fromkeys([ROOT, Path(sys.prefix), Path(sys.base_prefix), self.machine.server])
        words = ["sh", "-c", _BOOT, "sh", self.tree, self.extra, *places]
        pipe = subprocess.PIPE
        system = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        try:
            said = "".join(system.communicate(timeout=120))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(system.pid, signal.SIGKILL)
            system.wait()
        test = self.tree / "test"
        found = {
            name: (test / name).read_text() for name in ("out", "err", "status", "journal") if (test / name).exists()
        }
        assert found.get("status") == "0\n", f"{said}{found}"
        return found["out"]

    def _install(self) -> None:
        for name in ("bin", "sbin"):
            (self.extra / name).mkdir(parents=True)
        for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]:
            directory = "sbin" if name == "mount.cvmfs" else "bin"
            (self.extra / directory / name).symlink_to(PROGRAMS / name)
        for unit in (ROOT / "packaging/systemd").iterdir():
            shutil.copy(unit, self.tree / "etc/systemd/system")
        shutil.copy(self.machine.key, self.tree / "etc/cvmfs/keys")
        self.write(
            "etc/cvmfs/default.local",
            f"CVMFS_SERVER_URL={self.machine.storage.parent.as_uri()}/@fqrn@\nCVMFS_REPOSITORIES={FQRN}\n"
            "CVMFS_USYSLOG=/var/log/swrepo.log\n",
        )


def require_systemd() -> None:
    """Skip where systemd cannot be process 1 of anything."""
    require_fuse()
    if os.geteuid() != 0:
        pytest.skip("only root can start a system")
    if not SYSTEMD.exists() or shutil.which("unshare") is None:
        pytest.skip("there is no systemd here")
    if not os.path.islink("/lib"):
        pytest.skip("this machine keeps /lib beside /usr")
    kinds = Path("/proc/filesystems").read_text().split()
    if not {"overlay", "cgroup2"} <= set(kinds):
        pytest.skip("this kernel has no overlayfs, or no control groups")
