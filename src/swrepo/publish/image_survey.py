"""Which images a repository has, and what of root file systems and layers none of them uses any more.

A root file system is in use while a symbolic link anywhere in the repository leads to it; a layer, while an image is in
use that has it. What cannot be told is taken to be in use: all layers, where the manifest of an image is missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from swrepo.errors import NotFound
from swrepo.format.image import parse_manifest
from swrepo.format.paths import ROOT, basename, is_within, join, parent
from swrepo.publish.gathering import Workplace
from swrepo.publish.image_ingestion import FLAT, LAYERS, METADATA, addressed
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

_MANIFEST = b"manifest.json"
_TO_FLAT = re.compile(rb"(?:^|/)\.flat/([0-9a-f]{2}/[0-9a-f]{32,})(?:/|$)")
_OURS = (FLAT, LAYERS, METADATA)


@dataclass(frozen=True, slots=True)
class Described:
    """An image as its documents describe it: the name that it was published under, its root file system, its layers."""

    name: bytes
    flat: bytes
    layers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Unused:
    """What nobody uses, by paths: root file systems, layers, documents. `remark`: why layers are left out."""

    flats: tuple[bytes, ...]
    layers: tuple[bytes, ...]
    documents: tuple[bytes, ...]
    remark: str = ""

    @property
    def paths(self) -> tuple[bytes, ...]:
        return (*self.flats, *self.layers, *self.documents)


@dataclass(frozen=True, slots=True)
class Images:
    """What there is. `links`: symbolic links to root file systems, with those."""

    described: tuple[Described, ...]
    links: dict[bytes, bytes]
    flats: tuple[bytes, ...]
    layers: tuple[bytes, ...]

    def without(self, names: Collection[bytes]) -> Images:
        """The same without images of these names. NotFound where one is none."""
        known = {image.name for image in self.described} | self.links.keys()
        for name in names:
            if name not in known:
                shown = name.decode("utf-8", "backslashreplace")
                raise NotFound(f"there is no image {shown}; 'images list' names those that there are")
        links = {link: flat for link, flat in self.links.items() if link not in names}
        left = tuple(image for image in self.described if image.name not in names)
        return Images(left, links, self.flats, self.layers)

    def unused(self) -> Unused:
        """What could go."""
        used = set(self.links.values())
        # Without a root file system an image is one whose layers alone are used, by what mounts them.
        images = [one for one in self.described if one.flat in used or one.flat not in self.flats]
        documents = [METADATA + one.name for one in self.described if self._is_outdated(one)]
        unknown = used.intersection(self.flats) - {one.flat for one in images}
        needed = {layer for one in images for layer in one.layers}
        remark = ""
        if unknown:
            first = min(unknown).decode()
            remark = f"all layers stay: {len(unknown):,} root file systems are of images without a manifest, as {first}"
        return Unused(
            tuple(flat for flat in self.flats if flat not in used),
            () if unknown else tuple(layer for layer in self.layers if layer not in needed),
            tuple(documents),
            remark,
        )

    def _is_outdated(self, image: Described) -> bool:
        return image.flat in self.flats and image.flat not in self.links.values() and image.name not in self.links


@dataclass(frozen=True, slots=True)
class ImageRemoval:
    """One use of `images remove` or `prune`; call it with the workplace."""

    names: tuple[bytes, ...] = ()

    def __call__(self, workplace: Workplace) -> None:
        for path in to_delete(workplace.revision, self.names)[0]:
            workplace.gatherer.tree.remove(path)


def to_delete(revision: Revision, names: Collection[bytes]) -> tuple[list[bytes], Unused]:
    """The paths that go with images of these names, and what of them is unused by that. NotFound."""
    unused = (found := survey(revision)).without(names).unused()
    documents = {METADATA + one.name for one in found.described if one.name in names}
    gone = {*unused.paths, *documents, *(name for name in names if revision.find(name) is not None)}
    return sorted(_with_empty(revision, gone)), unused


def survey(revision: Revision) -> Images:
    """Look at the whole repository, but for what is in images."""
    links: dict[bytes, bytes] = {}
    for path, entry in walk(revision, enters=lambda path: path not in _OURS):
        if entry.is_symlink and (found := _TO_FLAT.search(entry.symlink)):
            links[path] = join(FLAT, found[1])
    return Images(tuple(_described(revision)), links, tuple(_below(revision, FLAT)), tuple(_below(revision, LAYERS)))


def _described(revision: Revision) -> Iterator[Described]:
    if revision.find(METADATA) is None:
        return
    for path, entry in walk(revision, METADATA):
        if basename(path) == _MANIFEST and entry.is_regular:
            with revision.content(path) as content:
                manifest = parse_manifest(content.pread(0, content.size))
            flat = addressed(FLAT, manifest.config)
            layers = tuple(addressed(LAYERS, layer) for layer in manifest.layers)
            yield Described(parent(path)[len(METADATA) :], flat, layers)


def _below(revision: Revision, top: bytes) -> Iterator[bytes]:
    """What is two levels below: `top/ab/abcd...`."""
    if revision.find(top) is None:
        return
    for first in revision.listing(top):
        if first.is_directory:
            above = join(top, first.name)
            yield from (join(above, entry.name) for entry in revision.listing(above) if entry.is_directory)


def _with_empty(revision: Revision, gone: set[bytes]) -> Iterator[bytes]:
    """And the directories of ours that would be empty then; not what lies in one that goes."""
    found = set(gone)
    for path in sorted(gone, key=len, reverse=True):
        above = parent(path)
        while any(is_within(above, top) and above != top for top in _OURS):
            if {join(above, entry.name) for entry in revision.listing(above)} - found:
                break
            found.add(above)
            above = parent(above)
    return (path for path in found if parent(path) == ROOT or not _has_above(path, found))


def _has_above(path: bytes, found: Collection[bytes]) -> bool:
    at = parent(path)
    while at != ROOT:
        if at in found:
            return True
        at = parent(at)
    return False
