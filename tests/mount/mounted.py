"""Real mounts for tests: each served by a process of its own, unmounted and its log checked at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from swrepo.errors import SwrepoError
from swrepo.fuse import mount as mounting
from swrepo.fuse.copies import holders, in_words
from swrepo.mount.control import ask
from tests.golden import CLOCK

PROGRAM = Path(__file__).with_name("start.py")


class Mount:
    """A mount of the test. `point` is where; `log` what the daemon wrote."""

    def __init__(self, directory: Path, request: dict) -> None:
        self.directory = directory
        self.point = directory / "mnt"
        self.log = directory / "log"
        self.cache = directory / "cache"
        self.point.mkdir(exist_ok=True, parents=True)
        self.request = {
            "mountpoint": str(self.point),
            "cache": str(self.cache),
            "control": str(directory / "control"),
            "log": str(self.log),
            "clock": CLOCK.isoformat(),
            **request,
        }

    def start(self) -> subprocess.CompletedProcess[str]:
        """Run the mounting program; it returns when the mount answers."""
        return subprocess.run(
            [sys.executable, str(PROGRAM), json.dumps(self.request)],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )

    def spawn(self) -> subprocess.Popen[str]:
        """Run it in the foreground, and wait until it answers."""
        arguments = [sys.executable, str(PROGRAM), json.dumps({**self.request, "foreground": True})]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: process.poll() is not None or self._socket() is not None)
        return process

    def ask(self, command: str) -> str:
        socket = self._socket()
        assert socket is not None, f"no control socket; log: {self.log.read_text() if self.log.exists() else '-'}"
        return ask(socket, command, timeout=60)

    def counters(self) -> dict[str, int]:
        """What `counters` says, by the last two words before the number: "requests READ", "cache hits"."""
        found = {}
        for line in self.ask("counters").splitlines():
            *words, number = line.split(" ")
            found[f"{words[0]} {words[-1]}"] = int(number)
        return found

    def requests(self) -> dict[str, int]:
        """Requests that reached the process, but for FORGET and STATFS, which the kernel never keeps (`find` asks once)."""
        return {
            name: number
            for name, number in self.counters().items()
            if name.startswith("requests ") and "FORGET" not in name and "STATFS" not in name
        }

    @property
    def is_mounted(self) -> bool:
        return mounting.mounted_at(os.path.realpath(self.point)) is not None

    def stop(self) -> None:
        """Unmount, and see that nobody is left who serves it: that is how every mount has to end."""
        device = mounting.device_of(os.path.realpath(self.point))
        if device is None:
            return
        with suppress(SwrepoError):
            pid = int(self.ask("pid")) if self._socket() is not None else 0
            mounting.umount(str(self.point), lazy=True)
            if not within(20, lambda: not _runs(pid)):
                whose = in_words(holders(device)) or "nobody that can be seen from here"
                pytest.fail(f"process {pid} serves the mount on after it was unmounted; {whose} has a copy of it")

    def _socket(self) -> Path | None:
        return next(iter((self.directory / "control").glob("cvmfs_io.*")), None)


@contextmanager
def mounted(directory: Path, *, expected: tuple[str, ...] = (), **request) -> Iterator[Mount]:
    """A mount that answers. Warnings in its log that are not `expected` fail the test."""
    require_fuse()
    mount = Mount(directory, request)
    started = mount.start()
    assert started.returncode == 0, started.stderr
    try:
        yield mount
    finally:
        mount.stop()
    text = mount.log.read_text()
    lines = [line for line in text.splitlines() if " WARNING:" in line or " ERROR:" in line]
    unexpected = [line for line in lines if not any(part in line for part in expected)]
    assert not unexpected, "\n".join(unexpected)
    assert "Traceback" not in text, text


def repository(golden, **more) -> dict:
    """The part of a request that names a golden repository, served from its directory."""
    return {"urls": [golden.served.as_uri()], "keys": [str(golden.public_key)], **more}


def require_fuse() -> None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse cannot be opened here")


def require_namespaces() -> None:
    """To mount in a namespace of one's own, as root or not."""
    require_fuse()
    words = ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "true"]
    if shutil.which(words[0]) is None or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespace of one's own can be made here")


def wait_until(condition, seconds: float = 20) -> None:
    """For what other processes do: there is nothing to wait on but the state itself."""
    assert within(seconds, condition), "what was waited for did not happen"


def within(seconds: float, condition) -> bool:
    """Whether it comes true in that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def _runs(pid: int) -> bool:
    return pid != 0 and Path(f"/proc/{pid}").exists()


def at(year: int) -> str:
    return datetime(year, 1, 1, tzinfo=CLOCK.tzinfo).isoformat()
