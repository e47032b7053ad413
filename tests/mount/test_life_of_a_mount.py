"""Starting, ending, crashing: what a mount leaves behind, and what it says."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.cli.main import main
from swrepo.fuse import mount as mounting
from swrepo.mount.start import umount
from tests.golden import golden
from tests.mount.mounted import Mount, at, mounted, repository, require_fuse, require_namespaces, wait_until

pytestmark = pytest.mark.mount


@pytest.fixture
def prepared(tmp_path: Path):
    """A mount that is not started yet."""
    require_fuse()
    mount = Mount(tmp_path, repository(golden("basic")))
    yield mount
    mount.stop()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_program_returns_when_the_mount_answers(prepared: Mount) -> None:
    assert prepared.start().returncode == 0

    assert prepared.is_mounted
    assert (prepared.point / "sizes").is_dir() or len(os.listdir(prepared.point)) > 5
    assert prepared.ask("mountpoint") == str(prepared.point)
    assert prepared.ask("revision") == "2" or prepared.ask("revision").isdigit()
    assert "counters" in prepared.ask("help").split("\n")
    assert prepared.ask("nonsense") == "unknown command; try help"


def test_it_may_open_as_much_as_the_administrator_allows(prepared: Mount) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        prepared.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert os.getxattr(prepared.point, "user.maxfd").decode() == str(min(hard, 1 << 20))


def test_umount_ends_all_processes(prepared: Mount) -> None:
    prepared.start()
    pid = int(prepared.ask("pid"))

    umount(str(prepared.point))

    wait_until(lambda: gone(pid))
    assert not prepared.is_mounted
    assert list((prepared.directory / "control").iterdir()) == [], "the control socket is removed"


@pytest.fixture
def container(prepared: Mount) -> Iterator[subprocess.Popen[bytes]]:
    """A mount that is there, and a program in a mount namespace of its own, which began with a copy of it."""
    require_namespaces()
    prepared.start()
    script = 'echo copied; while read name; do sha256sum < "$0/$name"; done'
    command = ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "sh", "-c", script, str(prepared.point)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as found:
        assert found.stdout.readline() == b"copied\n"
        yield found


def test_a_copy_in_another_namespace_is_served_until_it_is_gone(
    prepared: Mount, container: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    pid = int(prepared.ask("pid"))
    shown = next(row for row in golden("basic").rows if row.type == "f" and row.size > 100_000)

    assert main(["umount", str(prepared.point)]) == 0

    assert f"process {container.pid} (sh)" in capsys.readouterr().err, "it says who has a copy"
    wait_until(lambda: "served on until they end" in prepared.log.read_text())
    assert f"process {container.pid} (sh)" in prepared.log.read_text()
    container.stdin.write(shown.path[1:] + b"\n")
    assert container.stdout.readline().split()[0].decode() == shown.sha256

    wait_until(lambda: not list((prepared.directory / "control").iterdir()))
    assert prepared.start().returncode == 0
    assert int(prepared.ask("pid")) != pid, "the names are the next mount's"
    container.stdin.write(shown.path[1:] + b"\n")
    assert container.stdout.readline().split()[0].decode() == shown.sha256

    container.stdin.close()
    container.wait(20)
    wait_until(lambda: gone(pid))
    assert prepared.ask("mountpoint") == str(prepared.point), "and stay its"


def test_a_signal_ends_what_is_served_for_copies(prepared: Mount, container: subprocess.Popen[bytes]) -> None:
    pid = int(prepared.ask("pid"))
    umount(str(prepared.point))

    os.kill(pid, signal.SIGTERM)

    wait_until(lambda: gone(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts(prepared: Mount, number: int) -> None:
    prepared.start()
    pid = int(prepared.ask("pid"))

    os.kill(pid, number)

    wait_until(lambda: gone(pid) and not prepared.is_mounted)


def test_a_mount_that_even_the_guard_left_is_replaced(prepared: Mount) -> None:
    prepared.start()
    pid = int(prepared.ask("pid"))
    guard = int(Path(f"/proc/{pid}/stat").read_text().split()[3])
    os.kill(guard, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: mounting.is_dead(str(prepared.point)))

    assert prepared.start().returncode == 0
    assert os.listdir(prepared.point)


def test_a_second_mount_on_the_same_directory_is_refused(prepared: Mount) -> None:
    prepared.start()

    second = prepared.start()

    assert second.returncode == 26
    assert "mounted already" in second.stderr


def test_the_foreground_program_ends_with_its_signal_and_unmounts(prepared: Mount) -> None:
    process = prepared.spawn()
    assert os.listdir(prepared.point)

    process.terminate()

    assert (process.communicate(timeout=20)[1], process.returncode) == ("", 0)
    assert not prepared.is_mounted


def test_a_killed_foreground_program_leaves_no_mount(prepared: Mount) -> None:
    process = prepared.spawn()
    assert os.listdir(prepared.point)

    process.kill()
    process.communicate(timeout=20)

    wait_until(lambda: not prepared.is_mounted)


def test_what_prevents_the_mount_is_told_by_the_program_that_was_started(tmp_path: Path) -> None:
    require_fuse()
    other = golden("none")
    wrong_key = Mount(tmp_path / "key", {**repository(golden("basic")), "keys": [str(other.public_key)]}).start()
    expired = Mount(tmp_path / "old", {**repository(golden("basic")), "clock": at(2060)}).start()
    absent = Mount(tmp_path / "absent", {**repository(golden("basic")), "urls": [(tmp_path / "x").as_uri()]}).start()

    assert (wrong_key.returncode, wrong_key.stderr.split(":")[0]) == (14, "UntrustedSignature")
    assert (expired.returncode, expired.stderr.split(":")[0]) == (15, "WhitelistExpired")
    assert absent.returncode != 0
    assert absent.stderr


def test_a_busy_mount_is_unmounted_lazily_and_its_users_get_an_error(prepared: Mount) -> None:
    prepared.start()
    script = 'exec 3< "$0"; echo open; read line; cat <&3'
    name = next(row.path for row in golden("basic").rows if row.type == "f" and row.size > 100_000)
    path = os.fsencode(prepared.point) + name
    user = subprocess.Popen(["bash", "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert user.stdout.readline() == b"open\n"
    pid = int(prepared.ask("pid"))

    os.kill(pid, signal.SIGTERM)

    wait_until(lambda: gone(pid) and not prepared.is_mounted)
    user.communicate(b"\n", timeout=20)
    assert user.returncode != 0


def test_nothing_can_be_written(prepared: Mount) -> None:
    prepared.start()
    for attempt in (
        lambda: (prepared.point / "new").write_bytes(b""),
        (prepared.point / "directory").mkdir,
        lambda: os.chmod(prepared.point, 0o700),
        lambda: os.setxattr(prepared.point, "user.x", b""),
        lambda: os.symlink("x", prepared.point / "link"),
    ):
        with pytest.raises(OSError) as raised:
            attempt()
        assert raised.value.errno == errno.EROFS


def test_set_uid_bits_are_shown_and_have_no_effect(tmp_path: Path) -> None:
    with mounted(tmp_path, **repository(golden("basic"))) as mount:
        options = next(
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(mount.point) in line
        )
    assert "nosuid" in options
    assert "nodev" in options
    assert "ro," in options
