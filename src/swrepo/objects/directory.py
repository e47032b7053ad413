"""Objects and documents in a directory: a repository as it is served (`data/XX/...`, `.cvmfspublished`, ...).

The publisher's storage, and what a `file://` URL reads. Source of the layout: format.md 1.

Nothing appears under its name before all of its bytes are on the disk: they are written to `data/txn`, synced, and
renamed. A process that is killed leaves at most a file in `data/txn`, which means nothing to anybody.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from swrepo.errors import (
    CacheFull,
    CorruptObject,
    ObjectNotFound,
    ObjectTooLarge,
    PermissionRefused,
    SwrepoError,
    Unreachable,
    UsageError,
)
from swrepo.format.object_id import Kind, ObjectId
from swrepo.objects import codec
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.system import activity
from swrepo.system.atomic import sync_directory

_READ_BLOCK = 256 << 10
_MODE = 0o644
_TXN = "data/txn"
_UNFINISHED = "put."
_NAME = re.compile(r"([0-9a-f]{38}(?:-rmd160|-shake128)?)([A-Z]?)")


class DirectoryObjects:
    """ObjectSource, ObjectStore and WritableDocuments over the directory `root`.

    Safe from any thread; several processes may put and read at the same time. `create` makes the directories; all else
    expects them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._unsynced: set[str] = set()  # guarded by _lock: directories below data/ whose names may not be on the disk

    def create(self) -> None:
        """Make the directories that an empty repository has; existing ones stay."""
        with writing(self.root):
            for name in [f"data/{number:02x}" for number in range(256)] + [_TXN]:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            for name in ("", "data"):
                sync_directory(self.root / name)

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        path = self.root / want.id.path
        activity.current().begin(path)
        with _opened(path) as stored:
            codec.decode(_blocks(stored, path), want, out)

    def fetch_whole(self, want: Want) -> bytes:
        """See FetchesWhole."""
        path = self.root / want.id.path
        activity.current().begin(path)
        with _opened(path) as stored:
            return codec.decode_blocks(_blocks(stored, path), want)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        left: list[Want] = []
        for want in wants:
            try:
                plain = codec.decode_whole(_whole(f"{self.root}/{want.id.path}"), want)
            except (OSError, CorruptObject):
                left.append(want)
            else:
                deliver(want, plain)
        return left

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        path = self._document(name)
        with _opened(path) as file, _reading(path):
            size = os.fstat(file.fileno()).st_size  # what is asked for is allocated at once, however little there is
            data = file.read(min(size, limit) + 1)
        if len(data) > limit:
            raise ObjectTooLarge(f"{path} is larger than the {limit} bytes that are accepted of such a document")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Replace the document atomically, once everything that was put before is on the disk."""
        path = self._document(name)
        # A pointer must not survive a power cut that what it points to does not survive.
        self.sync()
        with writing(path), self._temporary() as (file, temporary):
            file.write(data)
            _sync_file(file)
            if "/" in name:  # statistics, which not every repository has
                path.parent.mkdir(parents=True, exist_ok=True)
            os.rename(temporary, path)  # a crash before this line leaves the old document, after it the new one
            sync_directory(path.parent)

    def remove(self, name: str) -> None:
        """See WritableDocuments."""
        path = self._document(name)
        with writing(path):
            path.unlink(missing_ok=True)

    def has(self, object_id: ObjectId) -> bool:
        """See ObjectStore."""
        here = (self.root / object_id.path).exists()
        if here:
            self._note(object_id)  # whoever put it may have been killed before its `sync`
        return here

    def put(self, object_id: ObjectId, stored: bytes | BinaryIO) -> None:
        """See ObjectStore. CorruptObject where the bytes are not those of that name: then nothing was stored."""
        if self.has(object_id):
            return
        path = self.root / object_id.path
        with writing(path), self._temporary() as (file, temporary):
            hasher = object_id.algorithm.hasher()
            for block in [stored] if isinstance(stored, bytes) else _blocks(stored, path):
                hasher.update(block)
                file.write(block)
            if hasher.digest() != object_id.digest:
                raise CorruptObject(f"refused to store as {object_id} bytes that do not match this name")
            _sync_file(file)
            path.parent.mkdir(exist_ok=True)  # other tools make data/XX on demand
            os.rename(temporary, path)  # a crash before this line leaves a file in data/txn, after it the object
        self._note(object_id)

    def stored_size(self, object_id: ObjectId) -> int | None:
        """See MeasuresObjects."""
        try:
            return os.stat(f"{self.root}/{object_id.path}").st_size
        except OSError:
            return None

    def delete(self, object_id: ObjectId) -> None:
        """See ObjectStore; a no-op where there is none."""
        path = self.root / object_id.path
        with writing(path):
            path.unlink(missing_ok=True)

    def list(self) -> Iterator[ObjectId]:
        """See ObjectStore. Files with other names are passed over."""
        for number in range(256):
            prefix = f"{number:02x}"
            with suppress(FileNotFoundError), os.scandir(self.root / "data" / prefix) as entries:
                for entry in entries:
                    if (object_id := object_of_file(prefix, entry.name)) is not None:
                        yield object_id

    def sync(self) -> None:
        """Wait until the names of all objects that were put, or were found here, are on the disk."""
        with self._lock:
            directories, self._unsynced = self._unsynced, set()
        for name in sorted(directories):
            path = self.root / "data" / name
            with writing(path), suppress(FileNotFoundError):
                sync_directory(path)

    def discard_unfinished(self) -> int:
        """Remove what killed processes left in data/txn; how many files. Only while nobody else puts."""
        leftovers = [path for path in (self.root / _TXN).glob(_UNFINISHED + "*") if path.is_file()]
        with writing(self.root / _TXN):
            for path in leftovers:
                path.unlink(missing_ok=True)
        return len(leftovers)

    def _document(self, name: str) -> Path:
        if not name or name.startswith("/") or "\0" in name or ".." in name.split("/"):
            raise UsageError(f"not the name of a document in a repository: {name!r}")
        return self.root / name

    def _note(self, object_id: ObjectId) -> None:
        with self._lock:
            self._unsynced.add(object_id.name[:2])

    @contextmanager
    def _temporary(self) -> Iterator[tuple[BinaryIO, str]]:
        """A file in data/txn and its name; gone afterwards unless it was renamed."""
        name = f"{self.root}/{_TXN}/{_UNFINISHED}{os.getpid()}-{os.urandom(6).hex()}"
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, _MODE)
                yield file, name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)


def object_of_file(prefix: str, name: str) -> ObjectId | None:
    """The object that is stored as `data/PREFIX/NAME`; None where that is no object."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] not in set(Kind):
        return None
    return ObjectId.parse(prefix + match[1], Kind(match[2]))


def _sync_file(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _whole(path: str) -> bytes:
    """A small file, read with no more system calls than that takes."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size + 1)
    finally:
        os.close(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with _reading(path):
        file = path.open("rb", buffering=0)
    with file:
        yield file


def _blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    while True:
        with _reading(path):
            block = file.read(_READ_BLOCK)
        if not block:
            return
        activity.current().progress(len(block))
        yield block


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """The border to the operating system, on reading."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectNotFound(f"{path} does not exist") from error
    except PermissionError as error:
        raise PermissionRefused(f"cannot read {path}: {error.strerror}; check its owner and mode") from error
    except OSError as error:
        raise Unreachable(f"cannot read {path}", (error.strerror or str(error),)) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The border to the operating system, on writing."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> SwrepoError:
    """What an error of the operating system means to whoever wanted to write to `path`."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CacheFull(f"no room to write {path}: {reason}; free some and run it again, nothing is damaged")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionRefused(f"cannot write {path}: {reason}; run it as the repository's owner")
    if error.errno == errno.ENOENT:
        return ObjectNotFound(f"cannot write {path}: {reason}; is this a repository's storage, and was it created?")
    return Unreachable(f"cannot write {path}", (reason,))
