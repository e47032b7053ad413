"""Cuts a directory out of a catalog into one of its own, and puts a nested catalog back into the one above it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import PathNotFound
from swrepo.format.dirent import Dirent
from swrepo.format.paths import join

_GROUP_SHIFT = 32


def split(upper: CatalogWriter, directory: bytes, path: str | os.PathLike[str]) -> CatalogWriter:
    """Move what is below `directory` into a new catalog in the file at `path`, with the catalogs mounted there.

    The directory stays in `upper`, where the caller mounts the new catalog once it is finished and has a name.
    """
    root = upper.lookup(directory)
    if root is None or not root.is_directory:
        raise PathNotFound(f"{directory!r} is no directory of the catalog of {upper.root_prefix!r}")
    lower = CatalogWriter.create(path, root, directory)
    upper.move_below(directory, lower)
    return lower


def merge(upper: CatalogWriter, lower: CatalogFile) -> None:
    """Unmount `lower` from `upper` and take over all that it holds; hard link groups get new numbers."""
    upper.remove_nested(lower.mountpoint)
    groups: dict[int, int] = {}
    for path, entry in _below(lower, lower.mountpoint):
        chunks = lower.chunks(path) if entry.is_chunked else ()
        group = 0 if entry.is_directory else entry.hardlink_group
        if group and group not in groups:
            groups[group] = upper.next_hardlink_group()
        upper.add(path, _in_group(entry, groups[group]) if group else entry, chunks)
    for ref in lower.nested():
        upper.set_nested(ref)


def _below(catalog: CatalogFile, directory: bytes) -> Iterator[tuple[bytes, Dirent]]:
    """Every entry below a directory that is in this catalog, top down, hidden ones too."""
    waiting = [directory]
    while waiting:
        here = waiting.pop()
        for entry in catalog.listing(here, hidden=True):
            path = join(here, entry.name)
            yield path, entry
            if entry.is_directory:
                waiting.append(path)


def _in_group(entry: Dirent, group: int) -> Dirent:
    return entry._replace(hardlinks=group << _GROUP_SHIFT | entry.linkcount)
