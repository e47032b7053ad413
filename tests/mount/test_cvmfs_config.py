"""`cvmfs_config` as a program, with live mounts: the columns and exit codes that scripts know from the original."""

import json
import os
import re
import signal
import subprocess
import tarfile

import pytest

from swrepo.fuse.mount import mounted_at
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
    found.configure("default.local", CVMFS_REPOSITORIES=FQRN, CVMFS_NFILES="65536")
    yield found
    found.unmount()


@pytest.fixture
def all_mounted(machine):
    machine.run("cvmfs_config", "setup", "nocfgmod", "noautofs")
    machine.run("swrepo", "mount", "--all")
    assert (machine.prefix / "cvmfs" / FQRN / "hello").read_text() == "hello\n"
    return machine


def test_showconfig_names_the_file_of_each_parameter(machine):
    lines = machine.run("cvmfs_config", "showconfig", FQRN).splitlines()
    etc = machine.prefix / "etc/cvmfs"
    assert lines[0] == f"CVMFS_REPOSITORY_NAME={FQRN}"
    assert f"CVMFS_SERVER_URL={machine.storage.as_uri()}    # from {etc}/default.conf" in lines
    assert f"CVMFS_NFILES=65536    # from {etc}/default.local" in lines
    assert f"CVMFS_CACHE_DIR={machine.prefix}/var/lib/cvmfs/shared" in lines
    assert "CVMFS_ALIEN_CACHE=" in lines
    assert lines[1:] == sorted(lines[1:], key=lambda line: line.partition("=")[0])


def test_showconfig_s_shows_what_is_set_for_each_repository_of_the_machine(machine):
    shown = machine.run("cvmfs_config", "showconfig", "-s")
    assert f"Running cvmfs_config -s {FQRN}:" in shown
    assert not re.search(r"=$", shown, re.MULTILINE)


def test_status_and_stat_tell_of_repositories_in_use(all_mounted):
    where = f"{all_mounted.prefix}/cvmfs/{FQRN}"
    assert re.fullmatch(rf"{FQRN} mounted on {where} with pid \d+\n", all_mounted.run("cvmfs_config", "status"))
    heads, figures = all_mounted.run("cvmfs_config", "stat", FQRN).splitlines()
    row = dict(zip(heads.split(), figures.split(), strict=True))
    assert (row["HOST"], row["PROXY"], row["ONLINE"]) == (all_mounted.storage.as_uri(), "DIRECT", "1")
    assert int(row["REVISION"]) == 2
    assert int(row["MEM(K)"]) > 1000
    in_words = all_mounted.run("cvmfs_config", "stat", "-v", FQRN)
    assert "File Catalog Revision: 2 (expires in 4 minutes)" in in_words
    assert re.search(r"^Fetched Ahead: \d+ objects, \d+ of them used, \d+ not yet$", in_words, re.MULTILINE)
    assert all_mounted.run("cvmfs_config", "stat", "other.example.org", code=1) == "other.example.org not mounted\n"


def test_status_of_a_mount_that_does_not_answer_says_so(all_mounted):
    socket = next((all_mounted.prefix / "var/lib/cvmfs/shared").glob("cvmfs_io.*"))
    socket.unlink()
    shown = all_mounted.run("cvmfs_config", "status", code=1)
    assert f"mountpoint {all_mounted.prefix}/cvmfs inaccessible" in shown


def test_probe_looks_into_each_repository(all_mounted):
    assert all_mounted.run("cvmfs_config", "probe") == f"Probing {all_mounted.prefix}/cvmfs/{FQRN}... OK\n"
    assert "Failed!" in all_mounted.run("cvmfs_config", "probe", "other.example.org", code=1)


def test_reload_shows_a_new_revision(all_mounted):
    all_mounted.publish("news", "new\n")
    assert "OK" in all_mounted.run("cvmfs_config", "reload", FQRN)
    assert (all_mounted.prefix / "cvmfs" / FQRN / "news").read_text() == "new\n"


def test_wipecache_empties_the_cache_of_a_live_mount_that_goes_on(all_mounted):
    cache = all_mounted.prefix / "var/lib/cvmfs/shared"
    objects = lambda: [path for path in cache.glob("??/*") if path.is_file()]  # noqa: E731 - counted twice
    assert len(objects()) > 1
    assert f"Wiping out {cache} ... OK" in all_mounted.run("cvmfs_config", "wipecache")
    assert objects() == []
    assert (all_mounted.prefix / "cvmfs" / FQRN / "secret").read_text() == "secret\n"


def test_umount_takes_away_what_nobody_uses(all_mounted):
    point = all_mounted.prefix / "cvmfs"
    with (point / FQRN / "hello").open():
        assert "Failed!" in all_mounted.run("cvmfs_config", "umount", code=1)
        assert mounted_at(str(point)) is not None
    assert f"Unmounting {point}: OK" in all_mounted.run("cvmfs_config", "umount")
    assert mounted_at(str(point)) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root may end a connection of the kernel")
def test_killall_ends_a_mount_that_is_in_use_and_hangs(all_mounted):
    point = all_mounted.prefix / "cvmfs"
    pid = int(all_mounted.run("swrepo", "talk", point, "pid"))
    with (point / FQRN / "hello").open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as user:
        file.close()
        os.kill(pid, signal.SIGSTOP)  # it answers nobody any more
        try:
            assert all_mounted.run("cvmfs_config", "killall").count("OK") == 2
        finally:
            os.kill(pid, signal.SIGCONT)
            user.kill()
    assert mounted_at(str(point)) is None
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_fsck_checks_the_caches(all_mounted):
    shown = all_mounted.run("cvmfs_config", "fsck", "-j", "2")
    assert f"fsck on {all_mounted.prefix}/var/lib/cvmfs/shared" in shown
    assert "0 were removed" in shown
    assert "0 were removed" in all_mounted.run("cvmfs_config", "fsck")


def test_chksetup_says_ok_or_names_what_is_wrong(machine):
    shown = machine.run("cvmfs_config", "chksetup")
    assert shown == "OK\n" or re.fullmatch(r"Warning: mount\.cvmfs is not among.*\n", shown)
    machine.configure("default.local", CVMFS_REPOSITORIES=f"{FQRN},lost.example.org", CVMFS_USE_GEAPI="yes")
    shown = machine.run("cvmfs_config", "chksetup", code=1)
    assert "Error: lost.example.org: " in shown
    assert "did you mean CVMFS_USE_GEOAPI?" in shown


def test_setup_makes_what_is_missing_and_changes_nothing_the_second_time(machine):
    (machine.prefix / "etc/auto.master").write_text("+dir:/etc/auto.master.d\n")
    first = machine.run("cvmfs_config", "setup", "nostart")
    assert (machine.prefix / "cvmfs").is_dir()
    assert (machine.prefix / "sbin/mount.cvmfs").resolve().name == "mount.cvmfs"
    autofs = (machine.prefix / "etc/auto.master.d/cvmfs.autofs").read_text()
    program = re.search(r"program:(\S+)$", autofs, re.MULTILINE)[1]
    assert (
        subprocess.run([program, FQRN], capture_output=True, text=True, check=True).stdout == f"-fstype=cvmfs :{FQRN}\n"
    )
    assert subprocess.run([program, "nonsense"], capture_output=True, check=False).returncode == 1
    assert first
    assert machine.run("cvmfs_config", "setup", "nostart") == ""


def test_what_is_not_built_or_misspelt_is_named(machine):
    machine.run("cvmfs_config", "fuser", code=2)
    assert "is not there" in machine.shown.stderr
    machine.run("cvmfs_config", "shwconfig", code=2)
    assert "did you mean 'showconfig'?" in machine.shown.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="mount(8) of a new kind needs root")
@pytest.mark.parametrize("way", ["mount -t cvmfs sw.example.org MNT", "mount -T TAB MNT"])
def test_mount_8_and_fstab_mount_a_repository(machine, way):
    """In a mount namespace where /usr/sbin has our mount.cvmfs, as an installed package has."""
    layers = machine.prefix / "layers"
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True)
    tab = machine.prefix / "fstab"
    tab.write_text(f"{FQRN} {machine.point} cvmfs ro,nofail,_netdev,x-systemd.automount 0 0\n")
    sbin = os.path.realpath("/sbin")
    script = f"""
        set -e
        mount -t overlay -o lowerdir={sbin},upperdir={layers}/upper,workdir={layers}/work overlay {sbin}
        ln -s $(command -v mount.cvmfs) {sbin}/mount.cvmfs
        {way.replace("MNT", str(machine.point)).replace("TAB", str(tab))}
        cat {machine.point}/hello
        umount {machine.point}
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "SWREPO_PREFIX": str(machine.prefix)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unknown filesystem type 'overlay'" in done.stderr:
        pytest.skip("this kernel has no overlayfs")
    assert done.stdout == "hello\n", done.stderr


def test_bugreport_packs_what_a_helper_needs_and_no_secret(all_mounted, tmp_path):
    all_mounted.configure(
        "config.d/sw.example.org.local", CVMFS_HTTP_PROXY="http://user:hidden-word@proxy.example.org:3128;DIRECT"
    )
    archive = tmp_path / "report.tar.gz"
    shown = all_mounted.run("cvmfs_config", "bugreport", archive)
    assert str(archive) in shown
    assert archive.stat().st_mode & 0o077 == 0
    with tarfile.open(archive) as file:
        parts = {name.partition("/")[2]: file.extractfile(name).read().decode() for name in file.getnames()}
    assert {"version", "doctor", "status.json", "mount0", "configuration"} <= set(parts)
    assert json.loads(parts["status.json"])["mounts"][0]["repositories"][0]["fqrn"] == FQRN
    assert f"{all_mounted.prefix}/cvmfs answers" in parts["doctor"]
    assert f"CVMFS_REPOSITORIES={FQRN}" in parts["configuration"]
    assert "***@proxy.example.org" in parts["configuration"]
    assert not any("hidden-word" in text for text in parts.values())
    assert not any("PRIVATE KEY" in text for text in parts.values())


@pytest.mark.skipif(os.getuid() != 0, reason="only root may end a connection of the kernel")
def test_bugreport_is_made_while_a_mount_hangs(all_mounted, tmp_path):
    pid = int(all_mounted.run("swrepo", "talk", all_mounted.prefix / "cvmfs", "pid"))
    os.kill(pid, signal.SIGSTOP)
    try:
        all_mounted.run("cvmfs_config", "bugreport", tmp_path / "report.tar.gz")
    finally:
        os.kill(pid, signal.SIGCONT)
    with tarfile.open(tmp_path / "report.tar.gz") as file:
        doctor = next(name for name in file.getnames() if name.endswith("/doctor"))
        assert f"kill -CONT {pid}" in file.extractfile(doctor).read().decode()
