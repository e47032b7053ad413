"""Runs of the machine that did not end in order: what was written in one of them is checked before it is served.

After a power cut a file may have its name and its size, and zeros in place of its bytes. So the file `swrepo.boots`
names every run in which an object came and whose bytes nobody has brought to the disk since; a mount that ends in
order, being the last user of the cache, does that for all. What such a run left is checked once, when first opened.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from swrepo.cache import record
from swrepo.cache.locking import is_last, join, locked
from swrepo.cache.record import Record
from swrepo.system.filesystem import sync_filesystem

NO_BOOT = bytes(8)
"""Where the system does not number its starts: then nothing is ever suspected."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FILE = "swrepo.boots"
_WRITERS = "swrepo.writers"
_DIGITS = 16


def boot_id() -> bytes:
    """Eight bytes that are others after each start of the machine."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))[:8].ljust(8, b"\0")
    except (OSError, ValueError):
        return NO_BOOT


class Boots:
    """What one process knows of the runs of its machine. Safe from any thread.

    `_lock` guards the beginning and the end; the files of the cache are locked under it.
    """

    def __init__(self, root: Path, boot: bytes) -> None:
        """`boot`: the run that this is."""
        self.boot = boot
        self._root = root
        self._lock = threading.Lock()
        self._writer = -1
        self._vouched: set[str] = set()  # where no note can be left on a file
        self.suspects: frozenset[bytes] = frozenset()
        with suppress(OSError):
            self.suspects = frozenset(_parse((root / _FILE).read_bytes())) - {boot}

    def begin(self) -> None:
        """To be called before an object gets its name: this run is suspect from now on, should it end all at once.

        OSError.
        """
        if self._writer >= 0 or self.boot == NO_BOOT:
            return
        with self._lock:
            if self._writer >= 0:
                return
            with locked(self._root / _FILE) as descriptor:
                writer = join(self._root / _WRITERS)
                found = _parse(os.read(descriptor, os.fstat(descriptor).st_size))
                if self.boot not in found:
                    _write(descriptor, [*found, self.boot])
            self._writer = writer

    def begin_again(self) -> None:
        """The directory was removed, and the files in it."""
        with self._lock:
            self._leave()

    def settle(self) -> None:
        """Bring everything to the disk, unless another process may still write: then that is for the last of them."""
        with self._lock, suppress(OSError):
            if self._writer < 0:
                return
            with locked(self._root / _FILE) as descriptor:
                if is_last(self._writer) and sync_filesystem(self._root):
                    found = _parse(os.read(descriptor, os.fstat(descriptor).st_size))
                    _write(descriptor, [boot for boot in found if boot != self.boot])
                self._leave()

    def close(self) -> None:
        """Let go without settling: what came in this run is checked in the next."""
        with self._lock:
            self._leave()

    def fetched(self, path: str) -> None:
        """An object came just now."""
        if self.suspects:
            self._vouched.add(path)

    def vouches_for(self, path: str, descriptor: int) -> bool:
        """Whether an object may be served: it is not suspect, or it was checked now, which is noted.

        Where nothing was noted when it came, it is not vouched for, unless this process fetched it.
        """
        found = record.read(descriptor)
        if found is None or path in self._vouched:
            return path in self._vouched
        if found.boot not in self.suspects:
            return True
        if not record.matches(found, descriptor):
            return False
        if not Record(found.checksum, found.size, self.boot).write(descriptor):
            self._vouched.add(path)
        return True

    def _leave(self) -> None:
        if self._writer >= 0:
            os.close(self._writer)
        self._writer = -1


def _parse(text: bytes) -> list[bytes]:
    """One run a line; whatever else is there, a power cut left."""
    found = []
    for line in text.split(b"\n"):
        with suppress(ValueError, UnicodeDecodeError):
            if len(line) == _DIGITS:
                found.append(bytes.fromhex(line.decode("ascii")))
    return found


def _write(descriptor: int, boots: list[bytes]) -> None:
    """Durably: it has to outlive the power cut that it is about."""
    text = b"".join(boot.hex().encode() + b"\n" for boot in dict.fromkeys(boots))
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))
    os.fsync(descriptor)
