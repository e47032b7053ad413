"""Bytes through a real mount: programs, mappings, chunks, many readers, servers that come and go."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import http.server
import mmap
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.golden import Golden, golden
from tests.mount.faulty import read
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_refresh import Served
from tests.simulated_trees import File, Symlink

pytestmark = pytest.mark.mount


class Server:
    """A plain HTTP server over a directory. Counts GETs; `go` lets requests for objects wait; `down` refuses all.

    `round_trip`: seconds that each answer takes longer, as if the server were far away. `broken`: parts of the paths of
    objects that are refused.
    """

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self.down = False
        self.round_trip = 0.0
        self.broken: tuple[str, ...] = ()
        self._never = threading.Event()
        outer = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append(self.path)
                if outer.round_trip:
                    outer._never.wait(outer.round_trip)
                if outer.down or any(part in self.path for part in outer.broken):
                    self.send_error(503)
                    return
                if "/data/" in self.path:
                    outer.go.wait(60)
                super().do_GET()

            def log_message(self, *_args) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(tmp_path: Path):
    root = tmp_path / "www"
    root.mkdir()
    found = Server(root)
    yield found
    found.close()


def over_http(server: Server, repo: Golden, tmp_path: Path) -> dict:
    (tmp_path / "www" / repo.fqrn).symlink_to(repo.served)
    return {"urls": [f"{server.url}/{repo.fqrn}"], "keys": [str(repo.public_key)], "fqrn": repo.fqrn}


def test_a_repository_over_http_shows_what_its_manifest_says(server: Server, tmp_path: Path) -> None:
    repo = golden("shake128")
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        for row in repo.rows:
            if row.type == "f":
                content = (mount.point / row.path.decode()[1:]).read_bytes()
                assert hashlib.sha256(content).hexdigest() == row.sha256
    objects = [path for path in server.requests if "/data/" in path]
    assert len(objects) == len(set(objects)), "each object travels once"


def test_64_readers_of_a_cold_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    repo = golden("basic")
    row = max((row for row in repo.rows if row.type == "f"), key=lambda row: row.size)
    # What lies near it is fetched too where a busy machine takes this link for a long one.
    with mounted(tmp_path, **over_http(server, repo, tmp_path), prefetch=False) as mount:
        path = mount.point / row.path.decode()[1:]
        assert path.stat().st_size == row.size
        server.requests.clear()
        server.go.clear()
        readers = [subprocess.Popen(["sha256sum", str(path)], stdout=subprocess.PIPE) for _ in range(64)]
        wait_until(lambda: len(server.requests) > 0)
        assert (mount.point / "no such file").exists() is False, "others are served meanwhile"
        server.go.set()
        digests = {reader.communicate(timeout=60)[0].split()[0].decode() for reader in readers}

    assert digests == {row.sha256}
    assert len(server.requests) == 1


def test_different_cold_files_are_fetched_at_the_same_time(server: Server, tmp_path: Path) -> None:
    repo = golden("nested")
    rows = [row for row in repo.rows if row.type == "f" and row.size][:16]
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        paths = [mount.point / row.path.decode()[1:] for row in rows]
        for path in paths:
            path.stat()
        server.requests.clear()
        server.go.clear()
        with ThreadPoolExecutor(16) as readers:
            outcomes = [readers.submit(path.read_bytes) for path in paths]
            wait_until(lambda: len(server.requests) >= len({row.sha256 for row in rows}))
            server.go.set()
            assert [hashlib.sha256(outcome.result(60)).hexdigest() for outcome in outcomes] == [r.sha256 for r in rows]


def test_a_nested_catalog_that_is_slow_holds_up_nobody_else(server: Server, tmp_path: Path) -> None:
    repo = golden("nested")
    nested = next(row.path.decode() for row in repo.rows if row.path.endswith(b"/.cvmfscatalog")).rpartition("/")[0]
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        top = os.listdir(mount.point)
        server.go.clear()
        server.requests.clear()
        lister = subprocess.Popen(["ls", str(mount.point) + nested], stdout=subprocess.PIPE)
        wait_until(lambda: len(server.requests) > 0)
        assert os.listdir(mount.point) == top
        assert not (mount.point / "not there").exists()
        server.go.set()
        assert lister.communicate(timeout=60)[0]


def test_a_killed_program_leaves_a_slow_look_up(server: Server, tmp_path: Path) -> None:
    repo = golden("nested")
    nested = next(row.path.decode() for row in repo.rows if row.path.endswith(b"/.cvmfscatalog")).rpartition("/")[0]
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        server.requests.clear()
        server.go.clear()
        lister = subprocess.Popen(["ls", str(mount.point) + nested], stdout=subprocess.DEVNULL)
        wait_until(lambda: len(server.requests) > 0)

        lister.terminate()

        assert lister.wait(20) == -15
        assert not server.go.is_set()
        server.go.set()
        assert os.listdir(str(mount.point) + nested), "and the catalog is there for others"


def test_a_signal_that_a_program_handles_does_not_fail_its_call(server: Server, tmp_path: Path) -> None:
    repo = golden("nested")
    nested = next(row.path.decode() for row in repo.rows if row.path.endswith(b"/.cvmfscatalog")).rpartition("/")[0]
    script = """
import os, signal, sys
came = []
signal.signal(signal.SIGURG, lambda *_: came.append(1))
libc = __import__("ctypes").CDLL(None)  # Python itself would try again after EINTR
found = libc.access((sys.argv[1] + "/.cvmfscatalog").encode(), 0)
print(found, len(came))
"""
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        server.requests.clear()
        server.go.clear()
        user = subprocess.Popen([sys.executable, "-c", script, str(mount.point) + nested], stdout=subprocess.PIPE)
        wait_until(lambda: len(server.requests) > 0)
        before = mount.counters().get("requests INTERRUPT", 0)
        user.send_signal(signal.SIGURG)
        wait_until(lambda: mount.counters().get("requests INTERRUPT", 0) > before)
        server.go.set()
        assert user.communicate(timeout=60)[0] == b"0 1\n"


def test_a_program_that_is_killed_after_a_harmless_signal_is_let_go(server: Server, tmp_path: Path) -> None:
    repo = golden("nested")
    nested = next(row.path.decode() for row in repo.rows if row.path.endswith(b"/.cvmfscatalog")).rpartition("/")[0]
    with mounted(tmp_path, **over_http(server, repo, tmp_path)) as mount:
        server.requests.clear()
        server.go.clear()
        user = subprocess.Popen(["ls", str(mount.point) + nested], stdout=subprocess.DEVNULL)
        wait_until(lambda: len(server.requests) > 0)
        user.send_signal(signal.SIGURG)  # ignored by default: the kernel does not even report it
        user.kill()
        assert user.wait(20) == -signal.SIGKILL
        assert not server.go.is_set()


def test_a_dead_server_gives_eio_and_its_return_is_noticed(server: Server, tmp_path: Path) -> None:
    repo = golden("basic")
    row = next(row for row in repo.rows if row.type == "f" and row.size > 5000)
    with mounted(tmp_path, expected=("READ of",), **over_http(server, repo, tmp_path)) as mount:
        path = mount.point / row.path.decode()[1:]
        server.down = True
        with pytest.raises(OSError) as raised:
            path.read_bytes()
        assert raised.value.errno == errno.EIO
        assert os.listdir(mount.point), "what is here is still shown"

        server.down = False

        wait_until(lambda: read(str(path))[1] == 0)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256


def test_a_corrupt_object_never_reaches_a_reader(server: Server, tmp_path: Path) -> None:
    repo = golden("basic")
    copy = tmp_path / "www" / repo.fqrn
    shutil.copytree(repo.served, copy)
    for path in copy.glob("data/*/*"):
        if not path.name.endswith(("C", "X", "H", "M")):
            path.chmod(0o644)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    request = {"urls": [f"{server.url}/{repo.fqrn}"], "keys": [str(repo.public_key)]}
    with mounted(tmp_path, expected=("READ of",), **request) as mount:
        for row in [row for row in repo.rows if row.type == "f" and row.size > 100][:5]:
            with pytest.raises(OSError) as raised:
                Path(os.fsdecode(os.fsencode(mount.point) + row.path)).read_bytes()
            assert raised.value.errno == errno.EIO


def test_without_a_server_what_was_seen_before_is_shown(server: Server, tmp_path: Path) -> None:
    repo = golden("basic")
    row = next(row for row in repo.rows if row.type == "f" and row.size > 5000)
    request = over_http(server, repo, tmp_path)
    with mounted(tmp_path, **request) as mount:
        (mount.point / row.path.decode()[1:]).read_bytes()
    server.down = True
    with mounted(tmp_path, expected=("no server of",), **request) as mount:
        assert hashlib.sha256((mount.point / row.path.decode()[1:]).read_bytes()).hexdigest() == row.sha256


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory):
    with mounted(tmp_path_factory.mktemp("chunked"), **repository(golden("chunked"))) as mount:
        yield mount


def a_chunked_file(mount: Mount) -> tuple[Path, bytes]:
    row = min((row for row in golden("chunked").rows if row.type == "f" and row.size > 18 << 20), key=lambda r: r.size)
    path = mount.point / row.path.decode()[1:]
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == row.sha256
    return path, content


def test_reads_across_chunk_boundaries_and_past_the_end(chunked: Mount) -> None:
    path, content = a_chunked_file(chunked)
    descriptor = os.open(path, os.O_RDONLY)
    size = len(content)
    for offset in (0, 1, 4095, (4 << 20) - 7, (8 << 20) - 1, (16 << 20) - 100, size - 5, size - 1, size, size + 10000):
        assert os.pread(descriptor, 200_000, offset) == content[offset : offset + 200_000], offset
    os.close(descriptor)


def test_mappings_show_the_file(chunked: Mount) -> None:
    path, content = a_chunked_file(chunked)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        assert mapping[5 << 20 : 6 << 20] == content[5 << 20 : 6 << 20]
        assert hashlib.sha256(mapping).digest() == hashlib.sha256(content).digest()


def test_programs_and_their_libraries_run(tmp_path: Path) -> None:
    program = Path(shutil.which("cat") or "/bin/cat").resolve()
    library = next(Path(line.split()[2]) for line in _libraries(program) if "libc.so" in line).resolve()
    served = Served(tmp_path)
    served.publish(
        {
            b"/bin/cat": File(content=program.read_bytes(), mode=0o755, chunk_size=16384),
            b"/bin/script": File(content=b'#!/bin/sh\nexec "${0%/*}/cat" "$1"\n', mode=0o755),
            b"/bin/plain": File(content=b"#!/bin/sh\n", mode=0o644),
            b"/lib/libc.so.6": File(content=library.read_bytes(), mode=0o755),
            b"/text": File(content=b"It runs.\n"),
            b"/link": Symlink(target=b"bin/cat"),
        },
        (),
    )
    with mounted(tmp_path, **served.request()) as mount:
        environment = {"LD_LIBRARY_PATH": str(mount.point / "lib")}
        for command in ("bin/cat", "link", "bin/script"):
            ran = subprocess.run(
                [mount.point / command, mount.point / "text"], env=environment, capture_output=True, check=False
            )
            assert (ran.stdout, ran.stderr, ran.returncode) == (b"It runs.\n", b"", 0), command
        with pytest.raises(PermissionError):
            subprocess.run([mount.point / "bin/plain"], check=False)


def _libraries(program: Path) -> list[str]:
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()


def test_extended_attributes_of_every_size_and_none(tmp_path: Path) -> None:
    long = b"v" * 255
    served = Served(tmp_path)
    served.publish({b"/file": File(xattrs={b"user.empty": b"", b"user.long": long}), b"/none": File()}, ())
    with mounted(tmp_path, **served.request()) as mount:
        path = mount.point / "file"
        assert sorted(os.listxattr(path)) == ["user.empty", "user.long"]
        assert os.getxattr(path, "user.empty") == b""
        assert os.getxattr(path, "user.long") == long
        for missing in (path, mount.point / "none"):
            with pytest.raises(OSError) as raised:
                os.getxattr(missing, "user.missing")
            assert raised.value.errno == errno.ENODATA
        assert os.listxattr(mount.point / "none") == []
        assert _getxattr(path, "user.long", 10) == -errno.ERANGE
        assert _getxattr(path, "user.long", 0) == 255


def _getxattr(path: Path, name: str, size: int) -> int:
    """The system call itself, with a buffer of `size` bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.getxattr(os.fsencode(path), name.encode(), ctypes.create_string_buffer(max(1, size)), size)
    return found if found >= 0 else -ctypes.get_errno()


def test_statfs_tells_the_published_size(tmp_path: Path) -> None:
    repo = golden("basic")
    with mounted(tmp_path, **repository(repo)) as mount:
        found = os.statvfs(mount.point)
    size = sum(row.size for row in repo.rows if row.type == "f")
    assert abs(found.f_blocks * found.f_frsize - size) < size / 10 + 4096
    assert found.f_bfree == 0
    assert found.f_namemax == 255
    assert found.f_files >= len(repo.rows) - 2
