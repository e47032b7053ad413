"""Listings of a repository's directories, in pieces: a cookie says after which entry of which revision to go on."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import NamedTuple

from swrepo.catalog.reader import CatalogFile
from swrepo.client.volume import Volume
from swrepo.errors import NotADirectory
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT
from swrepo.repository.revision import Revision
from swrepo.repository.status import Status, status

ROOT_NODE = 1
AFTER_DOT, AFTER_DOTS = 1, 2
"""Cookies that follow `.` and `..`; those of rows are larger."""

_EPOCH_BITS = 6


class NotHere(Exception):
    """Something must be fetched first: run `fetch` (which may block, and raise), then ask again."""

    def __init__(self, fetch: Callable[[], object]) -> None:
        self.fetch = fetch
        super().__init__()


class Listed(NamedTuple):
    """An entry of a listing. `cookie` continues after it. Without `status` only name and type are known."""

    name: bytes
    number: int
    mode: int
    cookie: int
    status: Status | None


def listing(volume: Volume, number: int, directory: bytes, cookie: int, limit: int) -> list[Listed]:
    """Up to `limit` entries of the directory `number` after `cookie` (0: from the start), `.` and `..` first."""
    after = cookie >> _EPOCH_BITS
    if after and cookie & (1 << _EPOCH_BITS) - 1 != volume.epoch & (1 << _EPOCH_BITS) - 1:
        return _list_previous(volume, directory, cookie, limit)
    found = _dots(volume, number, directory, cookie) if cookie < AFTER_DOTS else []
    catalog = catalog_of(volume.revision, directory)
    home, variables, epoch = volume.span(catalog), volume.variables, volume.epoch & (1 << _EPOCH_BITS) - 1
    for entry in catalog.listing(directory, after, limit):
        row = entry.rowid
        listed = volume.number(catalog, entry) if entry.hardlinks >> 32 else home.number(row)
        found.append(Listed(entry.name, listed, entry.mode, row << _EPOCH_BITS | epoch, status(entry, variables)))
        if entry.flags & 1:
            volume.note_path(home.base + row, directory + b"/" + entry.name)
    return found


def catalog_of(revision: Revision, directory: bytes) -> CatalogFile:
    """The catalog that lists a directory; NotHere where it is still to be loaded."""
    catalog = revision.tree.find_loaded(directory)
    if catalog is None:
        raise NotHere(lambda: revision.tree.find(directory))
    return catalog


def root_entry(revision: Revision) -> Dirent:
    """The repository's root directory."""
    root = revision.tree.root.lookup(ROOT)
    if root is None or not root.is_directory:
        raise NotADirectory("the repository's root catalog has no root directory")
    return root


def volume_root(volume: Volume) -> tuple[int, Dirent]:
    """Number and entry of a repository's root directory."""
    root = root_entry(volume.revision)
    return volume.span(volume.revision.tree.root).number(root.rowid), root


def _dots(volume: Volume, number: int, directory: bytes, cookie: int) -> list[Listed]:
    mode = stat.S_IFDIR
    dots = [Listed(b".", number, mode, AFTER_DOT, None), Listed(b"..", ROOT_NODE, mode, AFTER_DOTS, None)]
    above = directory.rpartition(b"/")[0]
    if above != directory and above:
        catalog = volume.revision.tree.holder(above)
        entry = catalog.lookup(above)
        if entry is not None:
            dots[1] = Listed(b"..", volume.number(catalog, entry), mode, AFTER_DOTS, None)
    elif directory and volume.name:
        dots[1] = Listed(b"..", volume_root(volume)[0], mode, AFTER_DOTS, None)
    return dots[cookie:]


def _list_previous(volume: Volume, directory: bytes, cookie: int, limit: int) -> list[Listed]:
    """Go on with a listing that was begun in the revision before: names only, so that none comes twice."""
    if volume.previous is None or (cookie + 1) & (1 << _EPOCH_BITS) - 1 != volume.epoch & (1 << _EPOCH_BITS) - 1:
        return []
    epoch = cookie & (1 << _EPOCH_BITS) - 1
    catalog = catalog_of(volume.previous, directory)
    return [
        Listed(entry.name, ROOT_NODE, entry.mode, entry.rowid << _EPOCH_BITS | epoch, None)
        for entry in catalog.listing(directory, cookie >> _EPOCH_BITS, limit)
    ]
