"""A "machine" of the demo: a shell in a mount namespace with a root directory of its own.

Its /cvmfs, /etc/cvmfs, /srv/cvmfs, /var/spool/cvmfs, /var/lib/cvmfs, /etc/passwd and /etc/group are private and lie in
the machine's directory; everything else is this machine's. The loopback network is shared. Nothing outside is touched,
and all of it is gone when the last process of the machine ends.
"""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".venv/bin"
_PASSED_ON = ("LANG", "LC_ALL", "TERM", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class CannotRun(Exception):
    """The demo cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """How namespaces are made here: the words of `unshare`, and whether the ids of real users exist in them."""

    words: tuple[str, ...]
    real_ids: bool

    @classmethod
    def available(cls) -> Isolation:
        """Root's mount namespace where it is allowed, else a user namespace. CannotRun where there is neither."""
        _check_fuse()
        ways = [cls(("unshare", "-Urm", "--propagation", "private"), real_ids=False)]
        if os.geteuid() == 0:
            ways.insert(0, cls(("unshare", "-m", "--propagation", "private"), real_ids=True))
        for way in ways:
            if subprocess.run([*way.words, "true"], capture_output=True, check=False).returncode == 0:
                return way
        raise CannotRun(
            "neither a mount namespace nor a user namespace can be made here; run as root, or allow user namespaces "
            "(sysctl kernel.unprivileged_userns_clone=1, or a container with --privileged)"
        )


def _check_fuse() -> None:
    device = Path("/dev/fuse")
    if not device.exists():
        raise CannotRun(
            "/dev/fuse is missing; load the kernel's module as root (modprobe fuse), or give it to the container"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise CannotRun(
            "/dev/fuse is closed to ordinary users here; open it as root (chmod 666 /dev/fuse), or run as root"
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command line printed (both streams, as on a terminal) and its exit code."""

    output: str
    code: int


class Machine:
    """A shell that keeps its directory and variables from one command to the next."""

    def __init__(self, name: str, directory: Path, isolation: Isolation) -> None:
        self.name = name
        self.directory = directory
        directory.mkdir(parents=True)
        _write_accounts(directory, isolation)
        reading, writing = os.pipe()
        environment = {key: value for key in _PASSED_ON if (value := os.environ.get(key)) is not None}
        environment |= {
            "PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/var/spool/cvmfs",
        }
        self._shell = subprocess.Popen(
            [*isolation.words, sys.executable, "-m", "demo.new_root", str(directory)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=writing,
            stderr=writing,
            bufsize=0,
            start_new_session=True,
        )
        os.close(writing)
        self._output = os.fdopen(reading, "rb", buffering=0)
        self._rest = b""
        ready = self.run("cd / && id -un")
        if ready.code != 0:
            raise CannotRun(f"the machine '{name}' did not start: {ready.output.strip()}")

    def run(self, command: str) -> Outcome:
        """Type a command line and wait for its end."""
        mark = f"end-{secrets.token_hex(8)}"
        pipe = self._shell.stdin
        assert pipe is not None  # noqa: S101 - it was asked for
        # Standard input is the script itself, so commands must not read it.
        try:
            pipe.write(f"{{ {command}\n}} </dev/null; printf '\\n{mark} %s\\n' $?\n".encode())
        except BrokenPipeError:
            return Outcome(self._rest.decode(errors="replace"), 1)
        return self._until(f"\n{mark} ".encode())

    def _until(self, mark: bytes) -> Outcome:
        text = self._rest
        while mark not in text or not text.partition(mark)[2].endswith(b"\n"):
            piece = self._output.read(1 << 16)
            if not piece:
                return Outcome(text.decode(errors="replace"), self._shell.wait() or 1)
            text += piece
        output, _, tail = text.partition(mark)
        code, _, self._rest = tail.partition(b"\n")
        return Outcome(output.decode(errors="replace"), int(code))

    def path(self, inside: str) -> Path:
        """Where a private file of the machine lies outside of it."""
        return self.directory / inside.lstrip("/")

    def stop(self) -> None:
        """End the shell; what it started in the background ends with the machine's own commands."""
        if self._shell.stdin:
            self._shell.stdin.close()
        try:
            self._shell.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()
        self._output.close()


def quoted(path: Path) -> str:
    """A path for a command line."""
    return shlex.quote(str(path))


def _write_accounts(directory: Path, isolation: Isolation) -> None:
    """/etc/passwd and /etc/group with a user `cvmfs`, the owner of published software."""
    etc = directory / "etc"
    etc.mkdir()
    passwd, group = Path("/etc/passwd").read_text("utf-8"), Path("/etc/group").read_text("utf-8")
    if not isolation.real_ids:
        # One id is all that this user namespace has: cvmfs is another name for it.
        account, accounts = "cvmfs:x:0:0:CernVM-FS:/var/lib/cvmfs:/usr/sbin/nologin\n", "cvmfs:x:0:\n"
    else:
        used = {int(line.split(":")[2]) for line in (passwd + group).splitlines() if line.count(":") > 2}
        number = next(number for number in range(990, 100, -1) if number not in used)
        account = f"cvmfs:x:{number}:{number}:CernVM-FS:/var/lib/cvmfs:/usr/sbin/nologin\n"
        accounts = f"cvmfs:x:{number}:\n"
    (etc / "passwd").write_text(_without(passwd, "cvmfs") + account, "utf-8")
    (etc / "group").write_text(_without(group, "cvmfs") + accounts, "utf-8")


def _without(text: str, name: str) -> str:
    return "".join(line + "\n" for line in text.splitlines() if not line.startswith(f"{name}:"))
