"""Which directories start a catalog of their own: those with a marker, those that a rule of the repository names, and
those that the balancer chose.

Every source of changes (a directory, an overlay's upper layer, an archive) asks for each directory that it comes by. A
rule's or the balancer's marker need not be in the source: the revision has it all the same, as the original writes it.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

from swrepo.errors import FormatError
from swrepo.format.dirent import Dirent, Flag, content_flags
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT, join
from swrepo.format.wellknown import AUTO_MARKER, DIRTAB, NESTED_MARKER, RESERVED_DIRECTORY
from swrepo.objects.store import ObjectStore
from swrepo.publish import dirtab
from swrepo.publish.dirtab import Dirtab
from swrepo.publish.encoder import Encoder
from swrepo.publish.faults import Faults

_MODE = stat.S_IFREG | 0o644


class Placement(NamedTuple):
    """Whether a directory starts a catalog, and which markers it has in the revision that its source lacks."""

    nested: bool
    markers: tuple[bytes, ...] = ()


class Nesting(Protocol):
    """What sources of changes ask."""

    def place(self, path: bytes, present: Collection[bytes], old: Collection[bytes]) -> Placement:
        """About the directory at `path`, which has the names `present`, and had those in `old` in the last revision.

        What of `Placement.markers` is not in `old` the source puts, with the entry that `marker` gives; what is in
        `old` it does not remove.
        """
        ...

    def marker(self, name: bytes, directory: Dirent) -> Dirent:
        """The complete entry of a marker in a directory."""
        ...


class CatalogPlaces:
    """Nesting by markers and the rules of `.cvmfsdirtab`. For one thread."""

    def __init__(
        self, encoder: Encoder, store: ObjectStore, rules: Dirtab | None = None, *, is_merged: bool = False
    ) -> None:
        """`is_merged`: the source shows the last revision too, as a union mount does, with all of its markers."""
        self._encoder = encoder
        self._store = store
        self._rules = rules or Dirtab()
        self._is_merged = is_merged
        self._empty: bytes | None = None
        self.own: set[bytes] = set()
        """Directories whose catalogs the balancer made, and may take away again: no source would bring them back."""

    def place(self, path: bytes, present: Collection[bytes], old: Collection[bytes]) -> Placement:
        """See Nesting."""
        if path == ROOT:
            return Placement(nested=False)
        if NESTED_MARKER in present:
            if self._is_merged and AUTO_MARKER in present:
                self.own.add(path)
            return Placement(nested=True)
        if self._rules and self._rules.fits(path):
            return Placement(nested=True, markers=(NESTED_MARKER,))
        if AUTO_MARKER in old and NESTED_MARKER in old:
            self.own.add(path)
            return Placement(nested=True, markers=(NESTED_MARKER, AUTO_MARKER))
        return Placement(nested=False)

    def marker(self, name: bytes, directory: Dirent) -> Dirent:
        """See Nesting: an empty file of the directory's owner and time, so that it is the same in every revision."""
        return directory._replace(
            name=name,
            mode=_MODE,
            size=0,
            flags=int(Flag.FILE) | content_flags(self._encoder.algorithm, self._encoder.compression),
            hardlinks=1,
            digest=self._empty_object(),
            xattr_blob=None,
        )

    def _empty_object(self) -> bytes:
        """The content's name, once it is sure that the store has it: who makes a marker without a file sees to that."""
        if self._empty is None:
            stored = self._encoder.encode(b"")
            name = self._encoder.named(stored, Kind.FILE)
            self._store.put(name, stored)
            self._empty = name.digest
        return self._empty


def check_names(path: bytes, present: Collection[bytes], marker_mode: int | None, faults: Faults) -> None:
    """What the format forbids in a directory becomes a fault. `marker_mode`: st_mode of its marker, if it has one."""
    if path == ROOT:
        if RESERVED_DIRECTORY in present:
            faults.add(b"/" + RESERVED_DIRECTORY, "this name is reserved for the repository itself")
        if marker_mode is not None:
            faults.add(b"/" + NESTED_MARKER, "the top directory always has a catalog; remove the marker")
    elif marker_mode is not None and not stat.S_ISREG(marker_mode):
        faults.add(join(path, NESTED_MARKER), "the marker of a nested catalog has to be a regular file")


def rules_of(text: bytes | None, faults: Faults) -> Dirtab:
    """The rules in the bytes of `.cvmfsdirtab` (None: there is none); a file that has no meaning becomes a fault."""
    try:
        return dirtab.parse(text or b"")
    except FormatError as error:
        faults.add(b"/" + DIRTAB, str(error))
        return Dirtab()


def rules_in(source: bytes, faults: Faults) -> Dirtab:
    """The rules of a work tree; one that cannot be read becomes a fault."""
    try:
        with open(source + b"/" + DIRTAB, "rb") as file:
            return rules_of(file.read(), faults)
    except FileNotFoundError:
        return Dirtab()
    except OSError as error:
        faults.add(b"/" + DIRTAB, error.strerror or str(error))  # the catalogs of all the tree depend on it
        return Dirtab()


def made(
    path: bytes, placement: Placement, old: Collection[bytes], nesting: Nesting, directory: Dirent
) -> Iterator[tuple[bytes, Dirent]]:
    """Paths and entries of the markers that the next revision has and the last one had not."""
    for name in placement.markers:
        if name not in old:
            yield join(path, name), nesting.marker(name, directory)
