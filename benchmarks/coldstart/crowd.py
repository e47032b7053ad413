"""Many clients that start a program at once, through one proxy: how many objects leave the server more than once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.coldstart.programs import Published
from benchmarks.coldstart.relay import link
from benchmarks.reading.serving import free_port, wait_for

CLIENTS = 20
_ENDING = 30.0
_CONF = """http_port 127.0.0.1:{port}
acl clients src 127.0.0.1/32
http_access allow clients
http_access deny all
cache_mem 512 MB
maximum_object_size 1 GB
maximum_object_size_in_memory 64 MB
collapsed_forwarding on
pid_filename {place}/squid.pid
cache_log {place}/cache.log
access_log none
netdb_filename none
coredump_dir {place}
shutdown_lifetime 0 seconds
visible_hostname localhost
pinger_enable off
"""


class Crowd(NamedTuple):
    """Requests that reached the server, those of them for an object that had left it before, and seconds for all."""

    requests: int
    repeated: int
    seconds: float


def crowd(published: Published, server: str, rtt: float, mbit: float, scratch: Path) -> Crowd | None:
    """Mount and run it `CLIENTS` times at once; None where there is no squid. The link lies behind the proxy."""
    program = shutil.which("squid", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        return None
    with ExitStack() as ending:
        proxy = ending.enter_context(_squid(program, scratch / "squid"))
        over = ending.enter_context(link(server, rtt, mbit))
        points = [scratch / "crowd" / str(number) for number in range(CLIENTS)]
        ending.callback(_clear, scratch / "crowd")
        begin = time.perf_counter()
        _all(_mount(published, f"http://127.0.0.1:{over.port}/cvmfs", proxy, point) for point in points)
        _all(_start(published, point / "mnt") for point in points)
        seconds = time.perf_counter() - begin
        carried = over.carried()
    return Crowd(carried.requests, carried.repeated, seconds)


def _mount(published: Published, url: str, proxy: str, point: Path) -> subprocess.Popen[bytes]:
    (point / "mnt").mkdir(parents=True)
    swrepo = str(Path(sys.executable).with_name("swrepo"))
    options = ["--key", str(published.key), "--cache", str(point / "cache"), "--proxy", proxy]
    return subprocess.Popen([swrepo, "mount", f"{url}/{published.fqrn}", str(point / "mnt"), *options])


def _start(published: Published, point: Path) -> subprocess.Popen[bytes]:
    program = published.program
    environment = {**os.environ, **program.environment(point)}
    return subprocess.Popen(program.command(point), env=environment, cwd="/", stdout=subprocess.DEVNULL)


def _all(started: Iterator[subprocess.Popen[bytes]]) -> None:
    if any(process.wait() for process in list(started)):
        raise RuntimeError("a client of the crowd failed")


def _clear(place: Path) -> None:
    """Unmount all, and remove what they had, which lasts until the processes have ended."""
    for point in place.iterdir():
        subprocess.run(["umount", "-l", str(point / "mnt")], check=False)
    end = time.monotonic() + _ENDING
    while place.exists() and time.monotonic() < end:
        shutil.rmtree(place, ignore_errors=True)
        time.sleep(0.1)


@contextmanager
def _squid(program: str, place: Path) -> Iterator[str]:
    """A proxy that asks once for what several clients want at the same time; its URL."""
    place.mkdir()
    place.chmod(0o777)
    port = free_port()
    (place / "squid.conf").write_text(_CONF.format(place=place, port=port))
    command = [program, "-N", "-f", str(place / "squid.conf"), "-n", f"swrepo{port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
