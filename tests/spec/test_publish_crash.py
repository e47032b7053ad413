"""Stopped at any point, a publication leaves the old revision whole, and running it again completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.publish.create import create_repository
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.storage import Storage, in_directory
from tests.publishing import Clock, Server, check_catalogs, fast_options
from tests.spec.test_publish_transaction import fill


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it, just as nothing catches kill -9."""


class Fuse:
    """Blows at the n-th operation that changes something, before or after it was done; afterwards nothing works."""

    def __init__(self, at: int, *, before: bool) -> None:
        self.left = at
        self.before = before
        self.is_blown = False

    def guard(self, operation: Any, *arguments: Any) -> Any:
        if self.is_blown:
            raise PowerCut
        self.left -= 1
        self.is_blown = self.left < 0
        if self.is_blown and self.before:
            raise PowerCut
        result = operation(*arguments)
        if self.is_blown:
            raise PowerCut
        return result


class Fragile:
    """A store or documents behind a fuse: `put`, `flush` and `write` count."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("put", "flush", "write"):
            return lambda *arguments: self._fuse.guard(found, *arguments)
        return found


def fragile(fuse: Fuse):
    def open_storage(places: RepositoryPlaces) -> Storage:
        found = in_directory(places)
        return Storage(found.source, Fragile(found.store, fuse), Fragile(found.documents, fuse))

    return open_storage


def assert_whole(server: Server, expected: Any) -> None:
    """Clients see this manifest, and everything that it reaches is there and in order."""
    manifest = server.manifest()
    assert manifest == expected
    with server.revision(manifest) as revision:
        check_catalogs(revision)
        for catalog in revision.tree.loaded():
            for entry, key, _ in catalog.entries():
                names = [entry.content] if entry.content else [entry.chunk_id(c) for c in catalog.chunks(key)]
                assert all((server.places.storage / name.path).exists() for name in names)


@pytest.mark.parametrize("before", [True, False])
def test_a_publication_may_stop_at_every_operation(tmp_path, before):
    server = Server(tmp_path)
    fill(server.tree)
    server.publish()
    (server.tree / "bin" / "tool").unlink()
    (server.tree / "a" / "b" / ".cvmfscatalog").unlink()
    (server.tree / "plain" / ".cvmfscatalog").touch()
    (server.tree / "plain" / "file").write_bytes(b"changed")
    stops = 0
    while True:
        expected = server.manifest()
        fuse = Fuse(stops, before=before)
        try:
            outcome = server.publish(open_storage=fragile(fuse), threads=1)
        except PowerCut:
            current = server.manifest()
            if current != expected:  # the manifest was written, and then the light went out
                assert not before
                assert current.revision == expected.revision + 1
                break
            assert_whole(server, expected)
            stops += 1
        else:
            assert outcome.published
            break
    assert stops >= 6
    server.publish()
    server.check()


def test_a_publication_that_was_stopped_between_log_and_manifest_completes(tmp_path):
    """The one moment at which the reference log is not the manifest's."""

    class NoManifest:
        def __init__(self, inner):
            self.read = inner.read
            self._write = inner.write

        def write(self, name, data):
            if name == MANIFEST:
                raise PowerCut
            self._write(name, data)

    def open_storage(places):
        found = in_directory(places)
        return Storage(found.source, found.store, NoManifest(found.documents))

    server = Server(tmp_path)
    (server.tree / "f").write_bytes(b"1")
    expected = server.manifest()
    for _ in range(2):
        log = (server.places.storage / REFLOG).read_bytes()
        with pytest.raises(PowerCut):
            server.publish(open_storage=open_storage)
        assert (server.places.storage / REFLOG).read_bytes() != log
        assert_whole(server, expected)
    server.publish()
    server.check()


@pytest.mark.parametrize("before", [True, False])
def test_a_creation_may_stop_at_every_operation_and_is_run_again(tmp_path, before):
    stops = 0
    while True:
        prefix = tmp_path / str(stops)
        try:
            create_repository(
                ServerLayout(prefix), "sw.example.org", fast_options(), open_storage=fragile(Fuse(stops, before=before))
            )
        except PowerCut:
            stops += 1
            places = create_repository(ServerLayout(prefix), "sw.example.org", fast_options())
            server = Server.__new__(Server)
            server.layout, server.fqrn, server.places = ServerLayout(prefix), "sw.example.org", places
            server.clock, server.tree = Clock(), places.worktree
            (server.tree / "f").write_bytes(b"1")
            assert server.publish().revision == 2
            server.check()
        else:
            break
    assert stops > 6


PROGRAM = """
import sys
from pathlib import Path
from swrepo.publish.layout import ServerLayout
from swrepo.publish.progress import Silent
from swrepo.publish.transaction import Publisher

class Told(Silent):
    def phase(self, phase):
        print(phase.name, flush=True)
    def advance(self, files, size):
        print("file", flush=True)

print("ready", flush=True)
sys.stdin.readline()
print(Publisher(ServerLayout(Path(sys.argv[1])), Told()).publish("sw.example.org").published, flush=True)
"""


def start(prefix: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(prefix)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def kill_after(process: subprocess.Popen[str], line: str, count: int) -> None:
    """Let it work until it has said `line` so many times, then kill -9."""
    go(process)
    assert process.stdout is not None
    for said in process.stdout:
        count -= said == line + "\n"
        if count <= 0:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0)


def test_a_process_that_is_killed_leaves_the_old_revision_and_the_next_one_completes(tmp_path):
    server = Server(tmp_path)
    fill(server.tree)
    server.publish()
    for number in range(300):
        (server.tree / "plain" / f"new{number}").write_bytes(b"%d" % number * 2000)
    expected = server.manifest()
    for line, count in (("CHECKING", 1), ("FILES", 1), ("file", 50), ("file", 200), ("CATALOGS", 1), ("SIGNING", 1)):
        kill_after(start(tmp_path), line, count)
        if server.manifest() != expected:  # it was quicker than its killer, which only the last one can be
            assert line == "SIGNING"
        else:
            assert_whole(server, expected)
    server.publish()
    server.check()
    assert list((server.places.storage / "data" / "txn").iterdir()) == []
    assert list(server.places.scratch.iterdir()) == []


def test_what_was_killed_while_it_replaced_a_file_leaves_nothing_for_ever(tmp_path):
    server = Server(tmp_path)
    left = server.places.spool / "reflog.chksum.tmp-123-abcdef01"
    left.touch()
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    server.check()
    assert not left.exists()


def test_two_processes_at_once_make_one_revision(tmp_path):
    server = Server(tmp_path)
    fill(server.tree)
    processes = [start(tmp_path) for _ in range(2)]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate()
    assert 0 in [process.returncode for process in processes]
    assert server.manifest().revision == 2
    server.check()
    assert os.path.exists(server.places.lock)
