"""fuse.session and fuse.mount against the real kernel, with a file system of three files in memory."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import threading

import pytest

from swrepo.errors import MountFailed, PathNotFound
from swrepo.fuse import mount as mounting
from swrepo.fuse import wire
from swrepo.fuse.mount import MountOptions
from swrepo.fuse.request import Request
from swrepo.fuse.session import Session
from swrepo.fuse.wire import Opcode

pytestmark = pytest.mark.mount

HOUR = 3600


class ThreeFiles:
    """`/hello` (answers), `/slow` (its reads wait until `go` is set) and `/broken` (its reads raise)."""

    def __init__(self) -> None:
        self.nodes = {b"hello": 2, b"slow": 3, b"broken": 4}
        self.content = b"Hello, kernel\n" * 1000
        self.go = threading.Event()
        self.slow_read_arrived = threading.Event()
        self.session: Session | None = None

    def handlers(self):
        return {
            Opcode.LOOKUP: self.lookup,
            Opcode.GETATTR: lambda request: wire.ATTR.pack(HOUR, 0, 0, *self.attributes(request.node)),
            Opcode.READ: self.read,
            Opcode.READDIR: self.readdir,
            Opcode.READDIRPLUS: self.readdirplus,
        }

    def attributes(self, node: int):
        mode, size = (stat.S_IFDIR | 0o755, 4096) if node == 1 else (stat.S_IFREG | 0o644, len(self.content))
        return (node, size, 8, 1, 2, 3, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def lookup(self, request: Request) -> bytes:
        name = request.body.rstrip(b"\0")
        if name == b"raise":
            raise RuntimeError("a bug in a handler")
        node = self.nodes.get(name)
        if node is None:
            raise PathNotFound(f"no {name!r}")
        return wire.ENTRY.pack(node, 0, HOUR, HOUR, 0, 0, *self.attributes(node))

    def read(self, request: Request):
        _, offset, size, *_ = wire.READ_IN.unpack_from(request.body)
        if request.node == 4:
            raise ZeroDivisionError
        if request.node == 3:
            later = self.session.defer(request)
            threading.Thread(target=self.answer_slowly, args=(request, offset, size)).start()
            return later
        return self.content[offset : offset + size]

    def answer_slowly(self, request: Request, offset: int, size: int) -> None:
        self.slow_read_arrived.set()
        self.go.wait(60)
        self.session.answer(request, self.content[offset : offset + size])

    def readdir(self, request: Request) -> bytes:
        _, offset, *_ = wire.READ_IN.unpack_from(request.body)
        records = [
            wire.DIRENT.pack(node, index + 1, len(name), stat.S_IFREG >> 12) + name + wire.PADDING[len(name) & 7]
            for index, (name, node) in enumerate(self.nodes.items())
        ]
        return b"".join(records[offset:])

    def readdirplus(self, request: Request) -> bytes:
        _, offset, *_ = wire.READ_IN.unpack_from(request.body)
        records = [
            wire.DIRENT_PLUS.pack(
                node, 0, HOUR, HOUR, 0, 0, *self.attributes(node), node, index + 1, len(name), stat.S_IFREG >> 12
            )
            + name
            + wire.PADDING[len(name) & 7]
            for index, (name, node) in enumerate(self.nodes.items())
        ]
        return b"".join(records[offset:])


@pytest.fixture
def served(tmp_path):
    """(mount point, file system, session): mounted, served by a thread of this process, unmounted at the end."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse cannot be opened here")
    files = ThreeFiles()
    point = tmp_path / "mount point, with odd\\name"
    point.mkdir()
    device = mounting.mount(str(point), MountOptions(source="three files"))
    session = files.session = Session(device, files.handlers())
    loop = threading.Thread(target=session.run)
    loop.start()
    yield point, files, session
    files.go.set()
    if mounting.mounted_at(str(point)) is not None:
        mounting.umount(str(point), lazy=True)
    loop.join(20)
    assert not loop.is_alive()
    os.close(device)


def test_files_are_listed_and_read(served) -> None:
    point, files, _ = served

    assert sorted(os.listdir(point)) == ["broken", "hello", "slow"]
    assert (point / "hello").read_bytes() == files.content
    assert mounting.mounted_at(str(point)) == "fuse.swrepo"


def test_warm_open_read_and_close_send_no_request(served) -> None:
    point, files, session = served

    def use_everything() -> None:
        descriptor = os.open(point / "hello", os.O_RDONLY)  # not open(): that asks isatty(), an ioctl, each time
        assert os.read(descriptor, 100_000) == files.content
        os.close(descriptor)
        assert len(os.listdir(point)) == 3
        os.stat(point / "hello")

    use_everything()
    before = session.requests()
    for _ in range(5):
        use_everything()

    assert session.requests() == before
    assert "OPEN" in before, "the kernel asked once and took ENOSYS for an answer"


def test_a_kernel_without_the_no_open_flags_still_keeps_its_cache() -> None:
    old = wire.WANTED & ~wire.Feature.NO_OPEN_SUPPORT & ~wire.Feature.NO_OPENDIR_SUPPORT
    session = Session(-1, {})
    session._switch_open_off(wire.negotiate(wire._INIT_IN.pack(7, 27, 131072, int(old))))
    request = Request(1, Opcode.OPEN, 1, 0, 0, 0, b"")

    for opcode in (Opcode.OPEN, Opcode.OPENDIR):
        assert session._handlers[opcode](request) == wire.OPEN_OUT.pack(0, 10, 0)
    for opcode in (Opcode.RELEASE, Opcode.RELEASEDIR):
        assert session._handlers[opcode](request) == b""


def test_a_missing_name_is_enoent_and_a_bug_is_eio_with_a_log_line(served, expected_warnings) -> None:
    point, _, _ = served
    expected_warnings("LOOKUP of node 1 failed")

    with pytest.raises(FileNotFoundError):
        os.stat(point / "missing")
    with pytest.raises(OSError, match="Input/output error") as raised:
        os.stat(point / "raise")
    assert raised.value.errno == errno.EIO
    assert os.stat(point / "hello").st_size == 14000, "the loop goes on"


def test_a_read_that_fails_is_eio(served, expected_warnings) -> None:
    point, _, _ = served
    expected_warnings("READ of node 4 failed")

    with pytest.raises(OSError, match="Input/output error"):
        (point / "broken").read_bytes()


def test_writing_is_refused_with_erofs(served) -> None:
    point, _, _ = served

    for attempt in (
        lambda: (point / "new").write_bytes(b""),
        lambda: (point / "hello").write_bytes(b""),
        (point / "hello").unlink,
        lambda: (point / "hello").chmod(0o600),
        (point / "directory").mkdir,
    ):
        with pytest.raises(OSError) as raised:
            attempt()
        assert raised.value.errno == errno.EROFS


def test_a_slow_answer_holds_up_nobody_else(served) -> None:
    point, files, _ = served
    reader = subprocess.Popen(["cat", str(point / "slow")], stdout=subprocess.PIPE)
    files.slow_read_arrived.wait(20)

    assert (point / "hello").read_bytes() == files.content

    files.go.set()
    assert reader.communicate(timeout=20)[0] == files.content


def test_a_killed_reader_of_a_slow_file_is_let_go(served) -> None:
    point, files, _ = served
    reader = subprocess.Popen(["cat", str(point / "slow")], stdout=subprocess.DEVNULL)
    files.slow_read_arrived.wait(20)

    reader.send_signal(signal.SIGTERM)

    assert reader.wait(20) == -signal.SIGTERM
    assert not files.go.is_set()


def test_a_forgotten_inode_is_read_anew(served) -> None:
    point, files, session = served
    assert (point / "hello").read_bytes() == files.content
    files.content = b"other bytes.\n" * 1000

    assert session.forget_inode(2)
    assert session.forget_entry(1, b"hello")

    assert (point / "hello").read_bytes() == files.content
    assert not session.forget_entry(1, b"never looked up")


def test_a_directory_that_is_missing_or_a_file_is_not_mounted_on(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MountFailed, match="No such file or directory"):
        mounting.mount(str(tmp_path / "missing"), MountOptions())
    with pytest.raises(MountFailed, match="not a directory"):
        mounting.mount(str(tmp_path / "file"), MountOptions())
    with pytest.raises(MountFailed, match="not an open FUSE connection"):
        mounting.mount("/dev/fd/999", MountOptions())


def test_what_is_not_mounted_is_not_unmounted(tmp_path) -> None:
    with pytest.raises(MountFailed):
        mounting.umount(str(tmp_path))
    assert mounting.mounted_at(str(tmp_path)) is None


def test_a_mount_in_use_is_busy_until_it_is_detached(served) -> None:
    point, _, _ = served
    # Another process: while Python starts fusermount3, the child closes our files with the interpreter lock held.
    script = 'exec 3< "$0/hello"; echo open; read line; head -c 5 <&3'
    user = subprocess.Popen(
        ["bash", "-c", script, str(point)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout.readline() == "open\n"
    with pytest.raises(MountFailed, match=r"(?i)busy"):
        mounting.umount(str(point))

    mounting.umount(str(point), lazy=True)

    assert os.listdir(point) == []
    assert user.communicate("go on\n", timeout=20)[0] == "Hello"


def test_a_dead_server_is_seen_and_its_mount_is_taken_off(tmp_path) -> None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse cannot be opened here")
    device = mounting.mount(str(tmp_path), MountOptions())
    os.close(device)

    assert mounting.is_dead(str(tmp_path))
    mounting.umount(str(tmp_path), lazy=True)
    assert not mounting.is_dead(str(tmp_path))
