"""`swrepo exec`: a command that sees /cvmfs, as root and as an ordinary user, and what is left when it has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from swrepo.errors import MountFailed, PermissionRefused, Unreachable, UsageError
from tests.mount import ordinary
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_namespaces, wait_until
from tests.mount.programs import PROGRAMS

pytestmark = pytest.mark.mount
HELLO = f"/cvmfs/{FQRN}/hello"


class Caller:
    """Somebody who runs `swrepo exec` on a machine whose configuration knows one repository."""

    def __init__(self, machine: Machine, *, is_ordinary: bool) -> None:
        self.machine = machine
        self.is_ordinary = is_ordinary
        self.home = machine.prefix / "home"
        self.home.mkdir()
        self.uid = os.geteuid()
        self.shown: subprocess.CompletedProcess[str]
        if is_ordinary and self.uid == 0:
            self.uid = ordinary.USER
        for path in (self.home, machine.prefix, machine.prefix / "var"):
            path.mkdir(exist_ok=True)
            os.chown(path, self.uid, -1)

    def words(self, *words: object) -> list[str]:
        found = [str(PROGRAMS / "swrepo"), "exec", *map(str, words)]
        return ordinary.command(found, self.machine.prefix.parent) if self.is_ordinary else found

    def environment(self, **more: str) -> dict[str, str]:
        own = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(self.home)}
        return own | {"SWREPO_PREFIX": str(self.machine.prefix)} | more

    def start(self, *words: object, **more) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.words(*words), env=self.environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True, **more
        )

    def run(self, *words: object, code: int = 0, cwd: object = None, env: dict[str, str] | None = None) -> str:
        self.shown = subprocess.run(
            self.words(*words),
            env=env or self.environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
            cwd=cwd,
        )
        assert self.shown.returncode == code, f"{self.shown.returncode}: {self.shown.stdout}{self.shown.stderr}"
        return self.shown.stdout

    def processes(self) -> list[int]:
        """All that were started for this machine and have not ended."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment, state = (entry / "environ").read_bytes(), (entry / "stat").read_text().rpartition(")")[2]
            except OSError:
                continue
            if str(self.machine.prefix).encode() in environment and state.split()[0] != "Z":
                found.append(int(entry.name))
        return found

    def servers(self) -> list[int]:
        """Those that serve the mount."""
        return [pid for pid in self.processes() if b"swrepo\0exec" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def left_nothing(self) -> None:
        wait_until(lambda: self.processes() == [])
        assert str(self.machine.prefix) not in Path("/proc/self/mountinfo").read_text()
        assert list(self.machine.prefix.rglob("cvmfs_io.*")) == []


@pytest.fixture(params=["as oneself", "as an ordinary user"])
def caller(request, tmp_path):
    require_namespaces()
    is_ordinary = request.param == "as an ordinary user"
    if is_ordinary and os.geteuid() != 0:
        pytest.skip("one is an ordinary user already")
    tmp_path.chmod(0o755)
    found = Caller(Machine(tmp_path), is_ordinary=is_ordinary)
    yield found
    found.left_nothing()


def test_the_command_sees_the_repository_and_nobody_else_does(caller) -> None:
    assert caller.run(FQRN, "--", "cat", HELLO) == "hello\n"
    assert not os.path.exists(HELLO)


def test_without_a_name_every_configured_repository_appears_when_it_is_touched(caller) -> None:
    assert caller.run("--", "sh", "-c", f"ls /cvmfs; cat {HELLO}; ls /cvmfs") == f"hello\n{FQRN}\n"


def test_what_was_named_is_listed_and_nothing_else_appears(caller) -> None:
    script = "ls /cvmfs; ls /cvmfs/other.example.org 2>/dev/null || echo no other"
    assert caller.run(FQRN, "--", "sh", "-c", script) == f"{FQRN}\nno other\n"


def test_a_repository_can_be_named_by_its_address_with_its_key(caller) -> None:
    machine = caller.machine
    assert caller.run(machine.storage, "--key", machine.key, "--cache", caller.home / "cache", "--", "cat", HELLO)
    assert (caller.home / "cache").is_dir()


def test_the_place_can_be_another_directory(caller) -> None:
    assert caller.run(FQRN, "--at", caller.machine.point, "--", "ls", caller.machine.point) == f"{FQRN}\n"
    assert os.listdir(caller.machine.point) == []


def test_the_command_runs_as_the_same_user_without_new_rights(caller) -> None:
    shown = caller.run(FQRN, "--", "sh", "-c", "id -u; grep CapEff /proc/self/status").split()
    assert shown[0] == str(caller.uid)
    if caller.uid != 0:
        assert int(shown[2], 16) == 0


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_exit_status_is_the_commands(caller, status) -> None:
    caller.run(FQRN, "--", "sh", "-c", f"exit {status}", code=status)


def test_a_command_that_cannot_be_run_is_126_or_127_as_in_a_shell(caller) -> None:
    caller.run(FQRN, "--", "/nowhere/nothing", code=127)
    assert caller.shown.stderr == "swrepo exec: /nowhere/nothing: No such file or directory\n"
    caller.run(FQRN, "--", "no-such-command-here", code=127)
    closed = caller.machine.prefix / "closed"
    closed.mkdir(mode=0)
    searched = caller.environment(PATH=f"{closed}:{os.environ['PATH']}")
    caller.run(FQRN, "--", "no-such-command-here", code=127, env=searched)
    caller.run(FQRN, "--", HELLO, code=126)
    assert "Permission denied" in caller.shown.stderr


def test_the_command_has_the_callers_process_number_and_gets_its_signals(caller) -> None:
    script = "trap 'echo got it; exit 7' TERM; echo $$; while :; do read line || sleep 1; done"
    with caller.start(FQRN, "--", "sh", "-c", script) as process:
        assert process.stdout.readline() == f"{process.pid}\n"
        process.send_signal(signal.SIGTERM)
        process.stdin.close()
        assert process.stdout.read() == "got it\n"
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_that_ends_the_command_ends_it_for_the_caller_too(caller, number) -> None:
    with caller.start(FQRN, "--", "sh", "-c", f"cat {HELLO}; exec cat") as process:
        assert process.stdout.readline() == "hello\n"
        process.send_signal(number)
    assert process.returncode == -number


def test_no_signal_is_ignored_that_was_not_ignored_before(caller) -> None:
    ask = ("sh", "-c", "grep SigIgn /proc/self/status")
    before = subprocess.run(ask, capture_output=True, check=True, text=True).stdout
    assert caller.run(FQRN, "--", *ask) == before


def test_the_command_has_no_child_that_it_did_not_start(caller) -> None:
    script = "import os\ntry:\n os.waitpid(-1, 0)\nexcept ChildProcessError:\n print('none')"
    assert caller.run(FQRN, "--", sys.executable, "-c", script) == "none\n"


def test_standard_input_and_other_open_files_are_the_commands(caller) -> None:
    reader, writer = os.pipe()
    words = [FQRN, "--", sys.executable, "-c", f"import os; os.write({writer}, b'other'); print(input())"]
    with caller.start(*words, pass_fds=[writer]) as process:
        os.close(writer)
        shown, _ = process.communicate("typed\n", timeout=60)
    assert shown == "typed\n"
    with open(reader, "rb") as pipe:  # ends, though the server may be there for a moment yet
        assert pipe.read() == b"other"


def test_the_current_directory_stays(caller) -> None:
    assert caller.run(FQRN, "--", "pwd", cwd=caller.home) == f"{caller.home}\n"
    (caller.home / "file").write_text("relative\n")
    assert caller.run(FQRN, "--", "cat", "file", cwd=caller.home) == "relative\n"


def test_the_root_directory_is_as_before_with_cvmfs_in_it(caller) -> None:
    names = set(os.listdir("/")) | {"cvmfs"}
    assert set(caller.run(FQRN, "--", "ls", "-A", "/").split()) == names
    assert caller.run(FQRN, "--", "readlink", "/bin", code=0 if os.path.islink("/bin") else 1).strip() == (
        os.readlink("/bin") if os.path.islink("/bin") else ""
    )


def test_what_the_command_writes_elsewhere_stays(caller) -> None:
    caller.run(FQRN, "--", "cp", HELLO, caller.home / "copy")
    assert (caller.home / "copy").read_text() == "hello\n"


def test_a_second_one_inside_the_first(caller) -> None:
    inner = f"swrepo exec {FQRN} -- sh -c 'cat {HELLO}; exit 5'"
    assert caller.run(FQRN, "--", "sh", "-c", f"{inner}; echo $?; cat {HELLO}") == "hello\n5\nhello\n"


def test_reuse_takes_the_mount_that_is_there(caller) -> None:
    count = "grep -c ' /cvmfs ' /proc/self/mountinfo"
    inner = f"{count}; swrepo exec {FQRN} -- {count}; swrepo exec --reuse {FQRN} -- {count}"
    assert caller.run(FQRN, "--", "sh", "-c", inner) == "1\n2\n1\n"


def test_reuse_mounts_where_nothing_is_there(caller) -> None:
    assert caller.run("--reuse", FQRN, "--", "cat", HELLO) == "hello\n"


def test_another_file_system_at_the_place_is_hidden_with_a_word_about_it(caller) -> None:
    point = caller.machine.point
    mounting = f"mount -t tmpfs none {point} && exec swrepo exec {FQRN} --at {point} -- cat {point}/{FQRN}/hello"
    ran = subprocess.run(
        ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "sh", "-c", mounting],
        env=caller.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "hello\n"), ran.stderr
    assert ran.stderr == (
        f"swrepo exec: the command does not see what is mounted on {point} (tmpfs); --reuse would leave it there\n"
    )


def test_a_process_that_the_command_leaves_behind_keeps_the_mount_until_it_ends(caller) -> None:
    script = f"exec 3<&0; (read line <&3; cat {HELLO}) & exit 4"
    with caller.start(FQRN, "--", "sh", "-c", script) as process:
        wait_until(lambda: process.poll() is not None)
        assert process.returncode == 4
        assert caller.servers()
        shown, _ = process.communicate("go\n", timeout=60)
    assert shown == "hello\n"


def test_when_its_server_is_killed_the_command_gets_errors_and_nothing_stays(caller) -> None:
    script = f"echo ready; read line; cat {HELLO} || exit 9"
    with caller.start(FQRN, "--", "sh", "-c", script) as process:
        assert process.stdout.readline() == "ready\n"
        for pid in caller.servers():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: caller.servers() == [])
        _, said = process.communicate("go\n", timeout=60)
    assert process.returncode == 9
    assert "connect" in said, "ENOTCONN or, where the request was under way, ECONNABORTED"


def test_a_worker_that_is_killed_is_replaced(caller) -> None:
    with caller.start(FQRN, "--", "sh", "-c", f"echo ready; read line; cat {HELLO}") as process:
        assert process.stdout.readline() == "ready\n"
        worker = max(caller.servers())
        os.kill(worker, signal.SIGKILL)
        shown, said = process.communicate("go\n", timeout=60)
    assert (process.returncode, shown) == (0, "hello\n"), said


def test_all_at_once_killed_leaves_nothing(caller) -> None:
    with caller.start(FQRN, "--", "sh", "-c", f"cat {HELLO}; cat") as process:
        assert process.stdout.readline() == "hello\n"
        pids = caller.processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # at once: none of them gets to see that another died
            for pid in pids:
                with suppress(ProcessLookupError):  # the `cat` that has written its line may have ended by itself
                    os.kill(pid, number)
    assert process.returncode == -signal.SIGKILL


def test_killed_while_it_mounts_leaves_nothing(caller) -> None:
    """At any of the steps: before the fork, between the namespaces, while the server opens the repository."""
    for patience in (0.02, 0.05, 0.1, 0.15, 0.2):
        with caller.start(FQRN, "--", "true") as process:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
        caller.left_nothing()


def test_why_there_can_be_no_mount_is_said_and_the_command_does_not_run(caller) -> None:
    mark = caller.home / "mark"
    address = "http://127.0.0.1:1/cvmfs/sw.example.org"
    caller.run(address, "--key", caller.machine.key, "--", "touch", mark, code=Unreachable.exit_code)
    assert caller.shown.stderr.startswith("swrepo: ")
    assert caller.shown.stderr.count("\n") == 1
    caller.run(FQRN, "--at", "/nowhere/at/all", "--", "touch", mark, code=MountFailed.exit_code)
    caller.run(FQRN, code=UsageError.exit_code)
    caller.run(FQRN, "--", code=UsageError.exit_code)
    caller.run(FQRN, "-o", "nonsense", "--", "touch", mark, code=UsageError.exit_code)
    caller.run(f"{caller.machine.storage}/inner", "--", "touch", mark, code=UsageError.exit_code)
    assert not mark.exists()


def test_where_no_cache_can_be_written_a_temporary_one_is_used_and_removed(caller, tmp_path) -> None:
    if os.geteuid() == 0 and not caller.is_ordinary:
        pytest.skip("root can write everywhere")
    scratch = tmp_path / "client/scratch"
    scratch.mkdir()
    os.chown(scratch, caller.uid, -1)
    machine = caller.machine
    env = {"PATH": caller.environment()["PATH"], "HOME": "/nonexistent", "TMPDIR": str(scratch)}
    words = [machine.storage, "--key", machine.key, "--", "sh", "-c", f"cat {HELLO}; ls {scratch}"]
    hello, directory = caller.run(*words, env=env).split()
    assert hello == "hello"
    assert f"{scratch}/{directory} is used, and removed at the end" in caller.shown.stderr
    wait_until(lambda: os.listdir(scratch) == [])


def test_a_temporary_cache_that_was_left_by_a_kill_is_removed_by_the_next(caller, tmp_path) -> None:
    if os.geteuid() == 0 and not caller.is_ordinary:
        pytest.skip("root can write everywhere")
    scratch = tmp_path / "client/scratch"
    left = scratch / f"swrepo-exec-{caller.uid}-left"
    left.mkdir(parents=True)
    (left / ".in-use").touch()
    for path in (scratch, left, left / ".in-use"):
        os.chown(path, caller.uid, -1)
    machine = caller.machine
    env = {"PATH": caller.environment()["PATH"], "HOME": "/nonexistent", "TMPDIR": str(scratch)}
    caller.run(machine.storage, "--key", machine.key, "--", "true", env=env)
    wait_until(lambda: os.listdir(scratch) == [])


def test_without_a_home_and_a_name_for_the_user(caller, tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be a user without a name")
    machine = caller.machine
    env = {"PATH": caller.environment()["PATH"], "TMPDIR": str(caller.home)}
    words = [machine.storage, "--key", machine.key, "--cache", caller.home / "cache", "--", "cat", HELLO]
    assert caller.run(*words, env=env) == "hello\n"


def refused(caller: Caller, preparation: str, *before: str) -> str:
    """What `swrepo exec` says in a namespace that was prepared in this way, by a user without rights there."""
    words = f"{preparation}; exec {' '.join(before)} swrepo exec {FQRN} -- true"
    ran = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", words], env=caller.environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode in (PermissionRefused.exit_code, MountFailed.exit_code), ran.stderr
    assert ran.stderr.count("\n") == 1
    return ran.stderr


WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


def test_a_machine_that_allows_no_user_namespaces_is_named_as_the_reason(caller) -> None:
    said = refused(caller, "echo 0 > /proc/sys/user/max_user_namespaces", *WITHOUT_RIGHTS)
    assert "user.max_user_namespaces is 0" in said


def test_a_container_without_the_device_is_named_as_the_reason(caller) -> None:
    said = refused(caller, "mount -t tmpfs none /dev", "env")
    assert "/dev/fuse is missing" in said
