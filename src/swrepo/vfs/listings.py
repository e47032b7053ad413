"""Listings of a repository's directories, in pieces: a cookie says after which entry of which revision to go on."""

from __future__ import annotations

import stat
from collections.abc import Callable
from typing import NamedTuple

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import NotADirectory, SwrepoError
from swrepo.format.dirent import Dirent
from swrepo.format.paths import ROOT
from swrepo.repository.revision import Revision
from swrepo.repository.status import Status, status
from swrepo.vfs.past import EPOCHS
from swrepo.vfs.volume import Volume

ROOT_NODE = 1
AFTER_DOT, AFTER_DOTS = 1, 2
"""Cookies that follow `.` and `..`; those of rows are larger."""

_EPOCH_BITS = 10
"""A cookie is a row and, below it, the epoch that began to have it. Up to two million rows it has no more than 31 bits,
which is what old 32-bit programs can take."""

_EPOCH_MASK = EPOCHS - 1


class NotHere(Exception):
    """Something must be fetched first: run `fetch` (which may block, and raise), then ask again.

    `is_here`: whether `fetch` will not need the network; it may block for as long as a disk takes.
    """

    def __init__(self, fetch: Callable[[], object], is_here: Callable[[], bool] = lambda: False) -> None:
        self.fetch = fetch
        self.is_here = is_here
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
    found = _dots(volume, number, directory, cookie) if cookie < AFTER_DOTS else []
    catalog = catalog_of(volume.revision, directory)
    since = volume.since(catalog)
    begun = volume.epoch - (volume.epoch - cookie & _EPOCH_MASK)
    if after and begun < since:
        return _continue(volume, number, directory, begun, after, limit)
    home, variables, tag = volume.span(catalog), volume.variables, since & _EPOCH_MASK
    for entry in catalog.listing(directory, after, limit):
        row = entry.rowid
        listed = volume.number(catalog, entry) if entry.hardlinks >> 32 else home.number(row)
        found.append(Listed(entry.name, listed, entry.mode, row << _EPOCH_BITS | tag, status(entry, variables)))
        if entry.flags & 1:
            volume.note_path(home.base + row, directory + b"/" + entry.name)
    return found


class Numbered(NamedTuple):
    """An entry and its number."""

    number: int
    entry: Dirent


def entries_after(volume: Volume, directory: bytes, row: int, limit: int) -> list[Numbered] | None:
    """Up to `limit` entries of a directory after a row, hidden ones too; None where its catalog is not loaded."""
    catalog = volume.revision.tree.find_loaded(directory)
    if catalog is None:
        return None
    return [
        Numbered(volume.number(catalog, entry), entry) for entry in catalog.listing(directory, row, limit, hidden=True)
    ]


def catalog_of(revision: Revision, directory: bytes) -> CatalogFile:
    """The catalog that lists a directory; NotHere where it is still to be loaded."""
    catalog = revision.tree.find_loaded(directory)
    if catalog is None:
        raise NotHere(lambda: revision.tree.find(directory), lambda: revision.has_catalog(directory))
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


def _continue(volume: Volume, number: int, directory: bytes, epoch: int, after: int, limit: int) -> list[Listed]:
    """Go on with a listing that was begun in an earlier revision, so that no name comes twice and none is left out.

    Names only; the numbers are those of today, and the directory's own for what is gone.
    """
    then, now = _catalog_then(volume, directory, epoch), catalog_of(volume.revision, directory)
    found = []
    for entry in then.listing(directory, after, limit):
        today = now.lookup(directory + b"/" + entry.name)
        listed = number if today is None else volume.number(now, today)
        found.append(Listed(entry.name, listed, entry.mode, entry.rowid << _EPOCH_BITS | epoch & _EPOCH_MASK, None))
    return found


def _catalog_then(volume: Volume, directory: bytes, epoch: int) -> CatalogFile:
    """The catalog that listed a directory in an earlier revision; NotHere, StaleListing."""
    if epoch == volume.epoch - 1 and volume.previous is not None:
        return catalog_of(volume.previous, directory)
    past, objects = volume.past, volume.revision.objects
    if epoch not in past.roots:
        raise StaleListing("the listing began in a revision that is not remembered any more; it has to begin again")
    catalog = past.catalog(epoch, directory)
    if catalog is None:
        raise NotHere(lambda: past.load(epoch, directory, objects))
    return catalog


class StaleListing(SwrepoError):
    """A directory was held open for too long."""

    errno = 116  # ESTALE
