"""A simulated repository behind a server that misbehaves on request, mounted with short time limits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.objects import codec
from tests.faults import FaultServer
from tests.mount.mounted import Mount, mounted, wait_until
from tests.simulated_trees import File, Tree
from tests.simulator import NOW, RepositorySimulator

LARGE = random.Random(7).randbytes(3_000_000)


def small(name: str) -> bytes:
    """The content of the small file of that name: no two are the same."""
    return f"the content of {name}\n".encode() * 50


def tree(*names: str, **more: bytes) -> dict[bytes, File]:
    """Small files of these names, which may have directories, and others with the given content."""
    found = {f"/{name}".encode(): File(content=small(name)) for name in names}
    return found | {f"/{name}".encode(): File(content=content) for name, content in more.items()}


class Site:
    """The repository, its server and the file of its key; the server may be gone for a while."""

    def __init__(self, directory: Path, files: Tree, nested: tuple[bytes, ...] = ()) -> None:
        self.files = dict(files)
        self.simulator = RepositorySimulator()
        self.simulator.publish(self.files, nested)
        self.key = directory / "key.pub"
        self.key.write_bytes(b"".join(key.pem for key in self.simulator.anchors.keys))
        self.server = FaultServer(self._look_up)
        self.url = f"{self.server.url}/{self.simulator.fqrn}"

    def publish(self, files: Tree, nested: tuple[bytes, ...] = ()) -> None:
        """Another revision."""
        self.files = dict(files)
        self.simulator.publish(self.files, nested)

    def kill_server(self) -> None:
        """From now on connections are refused."""
        self.server.close()

    def restart_server(self) -> None:
        """At the same address."""
        self.server = FaultServer(self._look_up, port=self.server.address[1])

    def request(self, **more) -> dict:
        """What to mount: without retries, so that nothing pauses; and nothing is here that nobody has read.

        With fetching ahead, a machine that is busy enough takes the link for a long one, and brings what lies nearby.
        """
        return {
            "urls": [self.url],
            "keys": [str(self.key)],
            "fqrn": self.simulator.fqrn,
            "clock": NOW.isoformat(),
            "timeout": 1.0,
            "max_retries": 0,
            "prefetch": False,
            **more,
        }

    def content(self, name: str) -> bytes:
        """The truth."""
        return self.files[f"/{name}".encode()].content

    def target(self, name: str) -> str:
        """What is asked of the server for a file of one object."""
        stored = codec.encode(self.content(name), Compression.ZLIB)
        return f"/{self.simulator.fqrn}/{ObjectId.of(stored, self.simulator.algorithm).path}"

    def document(self, name: str) -> str:
        """What is asked of the server for a document."""
        return f"/{self.simulator.fqrn}/{name}"

    def _look_up(self, target: str) -> bytes | None:
        path = target.removeprefix(f"/{self.simulator.fqrn}/")
        return self.simulator.documents.get(path, self.simulator.stored.get(path))


class Faulty:
    """A site and its mount."""

    def __init__(self, site: Site, mount: Mount) -> None:
        self.site = site
        self.server = site.server
        self.mount = mount

    def path(self, name: str = "") -> str:
        return str(self.mount.point / name)

    def is_right(self, name: str) -> bool:
        """Whether a file shows the truth. What is read of it before an error is held to be the truth too."""
        found, number = read(self.path(name))
        content = self.site.content(name)
        assert content.startswith(found), f"wrong bytes of {name}"
        return number == 0 and found == content

    def refusal(self, name: str) -> int:
        """The errno with which reading a file ends, none of whose bytes was wrong."""
        found, number = read(self.path(name))
        assert self.site.content(name).startswith(found), f"wrong bytes of {name}"
        assert number, f"{name} could be read"
        return number

    def log(self, *parts: str) -> list[str]:
        """The lines of the log that have all these parts."""
        return [line for line in self.mount.log.read_text().splitlines() if all(part in line for part in parts)]

    def waiting(self, name: str) -> subprocess.Popen:
        """A program that reads a file, once the kernel has passed its request on."""
        before = self.server.count(self.site.target(name))
        reader = subprocess.Popen(["cat", self.path(name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.server.count(self.site.target(name)) > before)
        return reader


@contextmanager
def faulty(directory: Path, site: Site, *, expected: tuple[str, ...] = (), **more) -> Iterator[Faulty]:
    """`site` mounted; its server is closed at the end."""
    try:
        with mounted(directory, expected=expected, **site.request(**more)) as mount:
            yield Faulty(site, mount)
    finally:
        site.server.close()


def read(path: str) -> tuple[bytes, int]:
    """What can be read of a file from the beginning, and the errno of where that ended (0: at its end)."""
    found = b""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return found, error.errno
    try:
        while block := os.read(descriptor, 1 << 17):
            found += block
    except OSError as error:
        return found, error.errno
    finally:
        os.close(descriptor)
    return found, 0


@contextmanager
def at_once(seconds: float = 15.0) -> Iterator[None]:
    """What is in here takes less than so many seconds: enough for a busy machine, too little for a time limit."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def end(readers: list[subprocess.Popen]) -> None:
    """Kill what still runs."""
    for reader in readers:
        with suppress(ProcessLookupError):
            reader.send_signal(signal.SIGKILL)
        reader.communicate(timeout=20)
