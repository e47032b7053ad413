"""`swrepo doctor` and `swrepo status` on a machine with live, hung and dead mounts, broken caches and configurations."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swrepo.fuse.mount import umount
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import wait_until
from tests.mount.programs import PROGRAMS

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


@pytest.fixture
def machine(tmp_path):
    found = Machine(tmp_path)
    found.configure("default.local", CVMFS_REPOSITORIES=FQRN)
    yield found
    found.unmount()


@pytest.fixture
def mounted(machine):
    (machine.prefix / "cvmfs").mkdir()
    machine.run("swrepo", "mount", "--all")
    assert (machine.prefix / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    return machine


@contextmanager
def stopped(machine):
    """A mount whose process answers nobody, with a program that waits for it in vain."""
    point = machine.prefix / "cvmfs"
    pid = int(machine.run("swrepo", "talk", point, "pid"))
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(pid) == "T")
        with subprocess.Popen(["cat", point / FQRN / "secret"], stdout=subprocess.PIPE) as waiting:
            yield pid, waiting
            os.kill(pid, signal.SIGCONT)
            waiting.wait(30)
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def findings(machine, *words, code=0):
    return json.loads(machine.run("swrepo", "doctor", "--json", *words, code=code))["findings"]


def of(found, area):
    return [item for item in found if item["area"] == area]


def test_a_machine_in_order_has_nothing_wrong(mounted):
    found = findings(mounted)
    assert [item for item in found if item["state"] == "error"] == []
    areas = {item["area"] for item in found}
    assert {"kernel", "fuse", "configuration", "cache", "disk", "mounts", "sockets", "manifest", "catalog"} <= areas
    assert f"{mounted.prefix}/cvmfs answers; in use: {FQRN}" in of(found, "mounts")[0]["text"]


def test_lines_for_people_end_with_a_sum(mounted):
    shown = mounted.run("swrepo", "doctor")
    assert "ok    mounts" in shown
    assert "wrong" in shown.splitlines()[-1] or "in order" in shown.splitlines()[-1]


def test_a_path_is_looked_at_by_its_repository(mounted):
    found = findings(mounted, f"{mounted.prefix}/cvmfs/{FQRN}/some/path")
    assert f"revision 2 of {FQRN}" in of(found, "manifest")[0]["text"]


def test_a_mount_that_hangs_is_named_with_its_process_and_holds_nothing_up(mounted):
    with stopped(mounted) as (pid, _):
        begun = time.monotonic()
        found = findings(mounted, code=1)
        assert time.monotonic() - begun < 14
        hung = of(found, "mounts")[0]
        assert hung["text"] == f"{mounted.prefix}/cvmfs hangs: process {pid} is stopped"
        assert hung["mend"] == f"kill -CONT {pid}"
        assert of(found, "catalog")[0]["state"] == "ok", "the way to the server needs no mount"
    assert (mounted.prefix / "cvmfs" / FQRN / "hello").read_text() == "hello\n"


def test_the_path_of_a_mount_that_hangs_can_be_asked_about(mounted):
    with stopped(mounted):
        found = findings(mounted, f"{mounted.prefix}/cvmfs/{FQRN}/hello", code=1)
        assert f"revision 2 of {FQRN}" in of(found, "manifest")[0]["text"]


def test_status_shows_a_mount_that_hangs_and_does_not_hang(mounted):
    with stopped(mounted) as (pid, _):
        begun = time.monotonic()
        shown = mounted.run("swrepo", "status", code=1)
        assert time.monotonic() - begun < 10
        assert "does not answer" in shown
        assert f"kill -CONT {pid}" in shown
        document = json.loads(mounted.run("swrepo", "status", "--json", code=1))
        assert document["mounts"][0]["answers"] is False
        assert document["mounts"][0]["pid"] == pid


def test_asking_again_and_again_about_a_mount_that_hangs_says_the_same(mounted):
    """Each question leaves a connection that the mount has not taken yet; the kernel holds a limited number."""
    with stopped(mounted):
        for _ in range(9):
            document = json.loads(mounted.run("swrepo", "status", "--json", code=1))
        assert document["mounts"][0]["answers"] is False
        assert "hangs" in document["mounts"][0]["problem"]


def test_a_mount_whose_processes_are_gone_is_dead(mounted):
    point = mounted.prefix / "cvmfs"
    pid = int(mounted.run("swrepo", "talk", point, "pid"))
    guard = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or state_of(pid) == "Z")
    found = findings(mounted, code=1)
    assert "dead" in of(found, "mounts")[0]["text"]
    assert of(found, "mounts")[0]["mend"].startswith(f"swrepo umount -l {point}")
    assert "left behind" in of(found, "sockets")[0]["text"]
    mounted.run("swrepo", "umount", "-l", point)
    mounted.run("swrepo", "mount", "--all")
    assert findings(mounted)


def test_status_tells_of_each_repository_in_use(mounted):
    document = json.loads(mounted.run("swrepo", "status", "--json"))["mounts"][0]
    repository = document["repositories"][0]
    assert document["answers"] is True
    assert repository["directory"] == f"{mounted.prefix}/cvmfs/{FQRN}"
    assert (repository["fqrn"], repository["revision"], repository["proxy"]) == (FQRN, 2, "DIRECT")
    assert 0 <= repository["hit_rate"] <= 1
    assert repository["whitelist_expires"]
    assert abs(repository["published"] - time.time()) < 600
    heads, row = mounted.run("swrepo", "status").splitlines()[-2:]
    assert heads.startswith("REPOSITORY")
    assert row.startswith(FQRN)
    assert mounted.storage.as_uri() in row


def test_status_without_a_mount_says_how_to_mount(machine):
    assert "swrepo mount --all" in machine.run("swrepo", "status")
    assert json.loads(machine.run("swrepo", "status", "--json")) == {"mounts": []}


def test_a_misspelt_parameter_is_named_with_its_line(machine):
    machine.configure("default.local", CVMFS_REPOSITORIES=FQRN, CVMFS_QUOTA_LIMT="2000")
    found = of(findings(machine), "configuration")[0]
    assert found["state"] == "warning"
    assert "did you mean CVMFS_QUOTA_LIMIT?" in found["text"]
    assert found["mend"].endswith("default.local:2")


def test_a_value_that_cannot_be_is_an_error(machine):
    machine.configure("default.local", CVMFS_REPOSITORIES=FQRN, CVMFS_TIMEOUT="soon")
    found = of(findings(machine, code=1), "configuration")
    assert any(item["state"] == "error" and "CVMFS_TIMEOUT" in item["text"] for item in found)


def test_a_key_that_is_none_is_named(machine):
    keys = machine.prefix / "etc/cvmfs/keys"
    keys.mkdir()
    (keys / "other.pub").write_text("no key\n")
    found = of(findings(machine, code=1), "keys")[0]
    assert f"{keys}/other.pub holds no public key" in found["text"]


def test_empty_objects_in_a_cache_are_a_hint_to_fsck(mounted):
    cache = mounted.prefix / "var/lib/cvmfs/shared"
    (cache / "00").mkdir(exist_ok=True)
    for number in range(3):
        (cache / "00" / f"{number:038x}").touch()
    found = of(findings(mounted), "cache")
    assert found[0]["mend"] == f"swrepo fsck --cache {cache}"


def test_a_cache_that_everybody_may_write_to_is_refused(mounted):
    cache = mounted.prefix / "var/lib/cvmfs/shared"
    cache.chmod(0o777)
    assert of(findings(mounted, code=1), "cache")[0]["mend"] == f"chmod o-w {cache}"


def test_a_limit_that_the_disk_cannot_hold_is_named(machine):
    machine.configure("default.local", CVMFS_REPOSITORIES=FQRN, CVMFS_QUOTA_LIMIT="900000000")
    found = of(findings(machine), "disk")[0]
    assert found["mend"].startswith("CVMFS_QUOTA_LIMIT=")


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("full", [True, False])
def test_a_full_or_read_only_disk_below_the_cache(machine, full):
    base = machine.prefix / "var/lib/cvmfs"
    base.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", base], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("no tmpfs here")
    try:
        if full:
            with open(base / "filler", "wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(4096))
        else:
            subprocess.run(["mount", "-o", "remount,ro", base], check=True)
        found = findings(machine, code=1)
        words = "there is no room" if full else "read-only file system"
        assert any(words in item["text"] for item in found if item["state"] == "error")
    finally:
        umount(str(base), lazy=True)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user to be")
def test_an_ordinary_user_is_told_what_he_may_not(machine):
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    cache = machine.prefix / "var/lib/cvmfs/shared"
    cache.mkdir(parents=True, mode=0o700)
    for path in (machine.prefix, *machine.prefix.parents):
        if path != Path("/tmp") and str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | 0o055)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(PROGRAMS / "swrepo")]
    done = subprocess.run(
        [*words, "doctor", "--json"],
        env={"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(machine.prefix)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("an ordinary user cannot read this installation")
    refused = [item for item in json.loads(done.stdout)["findings"] if item["area"] == "cache"]
    assert "cannot write to" in refused[0]["text"]
    assert refused[0]["mend"].startswith("chown -R 65534")
