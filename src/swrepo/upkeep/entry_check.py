"""What a single row of a catalog must be, whatever stands around it. Source: format.md 6."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence

from swrepo.errors import FormatError
from swrepo.format import xattr
from swrepo.format.dirent import Chunk, Dirent

_NO_NAMES = (b"", b".", b"..")


def entry_faults(entry: Dirent, chunks: Sequence[Chunk]) -> Iterator[str]:
    """One sentence for each fault."""
    if entry.name in _NO_NAMES or b"/" in entry.name or b"\0" in entry.name:
        yield f"the name {entry.name!r} is none that a file can have"
    if entry.linkcount == 0:
        yield "its link count is 0"
    if entry.xattr_blob:
        try:
            xattr.decode(entry.xattr_blob)
        except FormatError as error:
            yield f"its extended attributes cannot be read: {error}"
    if entry.is_directory:
        yield from _directory(entry)
    elif entry.is_symlink:
        yield from _symlink(entry)
    elif entry.is_special:
        yield from _special(entry)
    else:
        yield from _file(entry, chunks)


def _directory(entry: Dirent) -> Iterator[str]:
    if not stat.S_ISDIR(entry.mode):
        yield "it is flagged as a directory and has another mode"
    if entry.hardlink_group:
        yield "it is a directory and in a group of hard links"
    if entry.is_bind_mountpoint and entry.is_nested_mountpoint:
        yield "it is both a nested catalog's and a snapshot's mountpoint"


def _symlink(entry: Dirent) -> Iterator[str]:
    if not stat.S_ISLNK(entry.mode):
        yield "it is flagged as a symbolic link and has another mode"
    if entry.digest is not None:
        yield "it is a symbolic link and has content"
    if entry.size not in (0, len(entry.symlink)):  # tarballs are ingested with size 0
        yield f"it is a symbolic link of size {entry.size} with a target of {len(entry.symlink)} bytes"


def _special(entry: Dirent) -> Iterator[str]:
    if stat.S_ISREG(entry.mode):
        yield "it is flagged as a special file and has the mode of a regular one"
    if entry.digest is not None:
        yield "it is a special file and has content"
    if entry.size and not entry.is_device:
        yield f"it is a special file of size {entry.size}"
    if entry.symlink:
        yield "it is a special file and has a link's target"


def _file(entry: Dirent, chunks: Sequence[Chunk]) -> Iterator[str]:
    try:
        _ = entry.algorithm, entry.compression
    except FormatError as error:
        yield str(error)
    if entry.is_chunked:
        yield from _chunks(entry, chunks)
    elif entry.digest is None:
        yield "it is a regular file without content"
    elif not any(entry.digest):
        yield "it is a regular file whose content has the name 0"
    elif len(entry.digest) != 20:
        yield f"its content has a name of {len(entry.digest)} bytes"


def _chunks(entry: Dirent, chunks: Sequence[Chunk]) -> Iterator[str]:
    if not chunks:
        yield "it is a file of chunks and has none"
        return
    end = 0
    for chunk in chunks:
        if chunk.offset != end:
            yield f"a chunk begins at {chunk.offset} where the one before ends at {end}"
        end = chunk.offset + chunk.size
    if (total := sum(chunk.size for chunk in chunks)) != entry.size:
        yield f"its chunks have {total} bytes and it {entry.size}"
