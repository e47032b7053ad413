"""What the POSIX tests share: a tree with every kind of entry, in a plain directory and published and mounted."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mount.mounted import Mount, mounted
from tests.publishing import Server

libc = ctypes.CDLL(None, use_errno=True)

CHUNK = 16384
"""The largest chunk of the test server: files around multiples of it lie on its borders."""

PAGE = 4096
SIZES = (0, 1, 511, 512, 513, PAGE - 1, PAGE, PAGE + 1, 4 * PAGE, CHUNK - 1, CHUNK, CHUNK + 1, 100_000, 300_001)
TIMES = {
    b"time-epoch": 0,
    b"time-before": -1_500_000_001,
    b"time-first-nanosecond": 1_600_000_000_000_000_001,
    b"time-last-nanosecond": 1_600_000_000_999_999_999,
    b"time-2038": (2**31) * 10**9 + 5,
    b"time-2100": 4_102_444_800_123_456_789,
}
MODES = (0o000, 0o111, 0o400, 0o444, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o1755, 0o6711, 0o7777)


@dataclass(frozen=True)
class Both:
    """The same tree twice: `plain` on the local disk (mounted read-only where we may), and `mount`ed."""

    plain: bytes
    mount: bytes
    served: Mount

    @property
    def is_plain_read_only(self) -> bool:
        return bool(os.statvfs(self.plain).f_flag & os.ST_RDONLY)

    def same(self, probe: Callable[[bytes], Any]) -> Any:
        """Asserts that `probe` finds the same in both; what it found. It is given the top directory."""
        expected, found = probe(self.plain), probe(self.mount)
        assert found == expected, differences(expected, found)
        return found


def differences(expected: Any, found: Any) -> str:
    """The places where two probes differ: expected, then found."""
    if isinstance(expected, str) and isinstance(found, str):
        expected, found = expected.splitlines(), found.splitlines()
    if isinstance(expected, list | tuple) and len(expected) == len(found):
        expected, found = dict(enumerate(expected)), dict(enumerate(found))
    if not isinstance(expected, dict):
        return f"{expected!r:.500} {found!r:.500}"
    keys = [key for key in {**expected, **found} if expected.get(key, "-") != found.get(key, "-")]
    return "\n" + "\n".join(f"{key!r:.200}: {expected.get(key)!r:.200} {found.get(key)!r:.200}" for key in keys)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the name of its error."""
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def syscall(name: str, *arguments: Any) -> int | str:
    """A function of libc: what it returns, or the name of its error."""
    found = getattr(libc, name)(*arguments)
    return errno.errorcode[ctypes.get_errno()] if found == -1 else found


def is_root() -> bool:
    return os.geteuid() == 0


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes in which no two places look alike."""
    return b"".join((index * 2654435761 + seed & 0xFFFFFFFF).to_bytes(4, "big") for index in range(size // 4 + 1))[
        :size
    ]


def build(top: bytes) -> None:
    """Every kind of entry that a file system can hold."""
    _files(top)
    _names(top)
    _links(top)
    _specials(top)
    _attributes(top)
    _programs(top)
    for name, nanoseconds in TIMES.items():
        _write(top + b"/" + name, name)
        os.utime(top + b"/" + name, ns=(nanoseconds, nanoseconds))
    os.mkdir(top + b"/dated")
    os.utime(top + b"/dated", ns=(1_234_567_890_000_000_007,) * 2)


def _write(path: bytes, content: bytes, mode: int = 0o644) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def _files(top: bytes) -> None:
    os.mkdir(top + b"/sizes")
    for size in SIZES:
        _write(b"%s/sizes/%d" % (top, size), pattern(size, size))
    os.mkdir(top + b"/modes")
    for mode in MODES:
        if is_root() or mode & 0o400:  # what its publisher may read
            _write(b"%s/modes/file-%04o" % (top, mode), b"content", mode)
        if is_root() or mode & 0o500 == 0o500:
            os.mkdir(b"%s/modes/dir-%04o" % (top, mode))
            _write(b"%s/modes/dir-%04o/inside" % (top, mode), b"inside")
            os.chmod(b"%s/modes/dir-%04o" % (top, mode), mode)
    if is_root():
        _write(top + b"/owned", b"content", 0o640)
        os.chown(top + b"/owned", 12345, 54321)
        _write(top + b"/owned-high", b"content")
        os.chown(top + b"/owned-high", 2**32 - 3, 2**31)
    with open(top + b"/sparse", "wb") as file:
        file.write(b"begin")
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")


def _names(top: bytes) -> None:
    names = top + b"/names"
    os.mkdir(names)
    os.mkdir(names + b"/empty")
    for byte in range(1, 256):
        if byte != ord("/") and byte != ord("."):
            _write(b"%s/%c" % (names, byte), b"%d" % byte)
    for name in (
        "ünïcödé".encode(),
        "日本語".encode(),
        "e\u0301".encode(),
        "\u00e9".encode(),
        b"\xff\xfe not UTF-8",
        b"-rf",
        b"a b\tc\nd",
        b"...",
        b".hidden",
        b"x" * 255,
        b"CASE",
        b"case",
        b"%s%n$(HOME)`id`",
    ):
        _write(names + b"/" + name, name)
    deep = top + b"/deep"
    os.mkdir(deep)
    for _ in range(15):
        deep += b"/" + b"d" * 240
        os.mkdir(deep)
    _write(deep + b"/file", b"at the bottom")


def _links(top: bytes) -> None:
    links = top + b"/links"
    os.mkdir(links)
    targets = {
        b"relative": b"../sizes/512",
        b"absolute": b"/etc/hostname",
        b"broken": b"nowhere",
        b"self": b"self",
        b"ping": b"pong",
        b"pong": b"ping",
        b"directory": b"../names",
        b"up": b"..",
        b"into-file": b"../sizes/512/below",
        b"slash": b"../sizes/",
        b"longest": b"x/" * 2047 + b"y",
        b"bytes": b"\xff\x01 \n",
    }
    for name, target in targets.items():
        os.symlink(target, links + b"/" + name)
    os.symlink(b"../sizes/512", links + b"/chain00")
    for number in range(1, 45):
        os.symlink(b"chain%02d" % (number - 1), b"%s/chain%02d" % (links, number))
    _write(links + b"/one", b"three names")
    os.link(links + b"/one", links + b"/two")
    os.link(links + b"/one", links + b"/three")
    os.symlink(b"target", links + b"/symlink-one")
    os.link(links + b"/symlink-one", links + b"/symlink-two", follow_symlinks=False)


def _specials(top: bytes) -> None:
    specials = top + b"/specials"
    os.mkdir(specials)
    os.mkfifo(specials + b"/fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as listener, _inside(specials):
        listener.bind("socket")
    if is_root():
        os.mknod(specials + b"/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(specials + b"/block", stat.S_IFBLK | 0o600, os.makedev(259, 65_537))


def _attributes(top: bytes) -> None:
    path = top + b"/attributes"
    _write(path, b"content")
    os.mkdir(top + b"/attributed-directory")
    for where in (path, top + b"/attributed-directory"):
        os.setxattr(where, "user.text", b"value")
        os.setxattr(where, "user.empty", b"")
        os.setxattr(where, "user.bytes", bytes(range(1, 256)))
        if is_root():
            os.setxattr(where, "trusted.secret", b"root only")
            os.setxattr(where, "security.label", b"seen by all")


def _programs(top: bytes) -> None:
    programs = top + b"/programs"
    os.mkdir(programs)
    shutil.copyfile(os.path.realpath(shutil.which("cat") or "/bin/cat"), programs + b"/cat")
    shutil.copyfile(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), programs + b"/sleep")
    _write(programs + b"/script", b'#!/bin/sh\necho "script $0 $1"\n')
    _write(programs + b"/no-interpreter", b"#!/nowhere/interpreter\n")
    _write(programs + b"/not-a-program", bytes(100))
    _write(programs + b"/not-executable", b"#!/bin/sh\n")
    for name in os.listdir(programs):
        os.chmod(programs + b"/" + name, 0o644 if name == b"not-executable" else 0o755)


@contextmanager
def _inside(directory: bytes) -> Iterator[None]:
    """A socket's address must be short."""
    before = os.open(".", os.O_RDONLY)
    os.chdir(directory)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)


@contextmanager
def both(make: Callable[[bytes], None]) -> Iterator[Both]:
    """What `make` puts into a directory, there and on a mount. Other users get there too, unlike pytest's directories."""
    with tempfile.TemporaryDirectory(prefix="swrepo-posix-") as directory:
        os.chmod(directory, 0o755)
        with _both(Path(directory), make) as found:
            yield found


@contextmanager
def _both(directory: Path, make: Callable[[bytes], None]) -> Iterator[Both]:
    server = Server(directory / "server")
    make(os.fsencode(server.tree))
    server.publish()
    request = {
        "urls": [server.places.storage.as_uri()],
        "keys": [str(server.places.keys.public)],
        "clock": server.now().isoformat(),
        "allow_other": is_root(),
    }
    with mounted(directory, **request) as mount, _read_only(server.tree, directory / "plain") as plain:
        yield Both(os.fsencode(plain), os.fsencode(mount.point), mount)


@contextmanager
def _read_only(tree: Path, point: Path) -> Iterator[Path]:
    """A second, read-only way to a directory; the directory itself where we may not make one."""
    point.mkdir()
    done = subprocess.run(["mount", "--bind", tree, point], check=False, capture_output=True)
    if done.returncode:
        yield tree
        return
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro,nosuid,nodev", point], check=True)
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def walk(top: bytes) -> list[bytes]:
    """Every path below a directory, as far as we may look, sorted."""
    found = [b""]
    for directory, directories, files in os.walk(top):
        found += [os.path.join(directory, name)[len(top) :] for name in directories + files]
    return sorted(found)


def close_quietly(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)
