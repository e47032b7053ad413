"""Real web servers and proxies as programs: started, killed, stalled and started again by tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"


def printed(language: str) -> str:
    """The configuration in docs/operations.md."""
    match = re.search(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    assert match
    return match[1]


def changed(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text, f"the documented configuration no longer says {old!r}"
        text = text.replace(old, new)
    return text


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(arguments: list[str], port: int, log: Path) -> Iterator[None]:
    """A server in the foreground, from when its port answers until the `with` ends; what it started ends with it."""
    with (
        log.open("ab") as output,
        subprocess.Popen(arguments, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            wait_for_port(process, port, log)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until a program that was started takes connections."""
    pause = threading.Event()
    for _ in range(1500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text(errors="replace")
        pause.wait(0.02)  # the only news that these programs give of being ready


class Server:
    """A program in the foreground with one port, and its life in the hands of a test."""

    def __init__(self, arguments: list[str], port: int, log: Path) -> None:
        self._arguments, self._port, self._log = arguments, port, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, until its port answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._arguments, stdout=output, stderr=output, start_new_session=True)
        wait_for_port(self._process, self._port, self._log)

    def kill(self) -> None:
        """As the machine does that loses its power, but for the connections."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stall(self) -> None:
        """It takes connections, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a stall."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)


def nginx(place: Path, root: Path) -> tuple[Server, str]:
    """One that serves the directory `root`, not started yet, and its URL."""
    binary, port = program("nginx", "nginx-light"), free_port()
    place.mkdir()
    place.chmod(0o777)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"daemon off; pid {place}/nginx.pid; error_log {place}/error.log;\nevents {{ }}\n"
        f"http {{ access_log off;\n{temporary}server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
    )
    arguments = [binary, "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    return Server(arguments, port, place / "output.log"), f"http://127.0.0.1:{port}"


def squid(place: Path) -> tuple[Server, str]:
    """One as docs/operations.md has it, for servers on this machine, not started yet, and its URL."""
    binary, port = program("squid", "squid"), free_port()
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    config = changed(
        printed("squid"),
        ("http_port 3128", f"http_port 127.0.0.1:{port}"),
        ("acl servers dstdomain software.example.org", "acl servers dst 127.0.0.1/32"),
        ("cache_mem 4 GB", "cache_mem 32 MB"),
    )
    (place / "squid.conf").write_text(
        f"pid_filename {place}/squid.pid\ncache_log {place}/cache.log\naccess_log none\nnetdb_filename none\n"
        f"coredump_dir {place}\nshutdown_lifetime 0 seconds\nvisible_hostname localhost\npinger_enable off\n{config}"
    )
    arguments = [binary, "-N", "-f", str(place / "squid.conf"), "-n", f"swrepo{port}"]
    return Server(arguments, port, place / "squid.log"), f"http://127.0.0.1:{port}"
