"""An image becomes part of a repository: its layers by their digests, its root file system, and a name for that.

    .layers/ab/abcd.../layerfs     a layer as it was packed, whiteouts and all; shared by all images that have it
    .flat/ab/abcd...               the root file system of the image whose configuration has this digest
    .metadata/NAME/...             its manifest and configuration
    NAME -> .flat/ab/abcd...       what people use

The layout is that of CernVM-FS's DUCC, so that what uses one uses the other. Contents are stored once, whatever names
them; a layer that is there is not fetched again.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from swrepo.errors import CorruptObject, FormatError, UsageError
from swrepo.format.dirent import Chunk, Dirent
from swrepo.format.image import Descriptor
from swrepo.format.paths import ROOT, basename, join, parent
from swrepo.format.wellknown import NESTED_MARKER
from swrepo.publish.archive import Below, Owner
from swrepo.publish.gathering import NOBODY, Workplace
from swrepo.publish.image_environment import environment_script, run_script
from swrepo.publish.image_source import Blobs, Image, verified
from swrepo.publish.ingestion import mark
from swrepo.publish.layered_tree import LayeredTree
from swrepo.publish.member import Member, Read
from swrepo.publish.tar_stream import TarStream
from swrepo.publish.unpacking import unpacked
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

LAYERS = b"/.layers"
FLAT = b"/.flat"
METADATA = b"/.metadata"
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_READ = 1 << 20
_MOST_LINKS = 40
_DEPTH_OF_LAYERS = 3
_IMPLIED_MODE = 0o40755


@dataclass(slots=True)
class ImageIngestion:
    """One use of `ingest-image`; call it with the workplace. `name` is the path under which people find the image."""

    blobs: Blobs
    image: Image
    name: bytes
    fetched: int = field(default=0, init=False)
    """Layers that were not there yet."""

    @property
    def flat(self) -> bytes:
        """The root file system."""
        return addressed(FLAT, self.image.manifest.config)

    def __call__(self, workplace: Workplace) -> None:
        revision, tree = workplace.revision, workplace.gatherer.tree
        _check_name(revision, self.name)
        workplace.gatherer.tolerant = True
        workplace.gatherer.grafts = None
        tree.layer = 1
        if revision.find(self.flat) is None:
            for digest, diff_id in zip(self.image.manifest.layers, self.image.config.diff_ids, strict=True):
                self._lay(workplace, digest, diff_id)
                tree.layer += 1
            self._finish_root(workplace)
        for directory, content in (("manifest.json", self.image.manifest.raw), ("config.json", self.image.config_raw)):
            _write_once(workplace, METADATA + self.name + b"/" + directory.encode(), content)
        target = b"../" * (self.name.count(b"/") - 1) + self.flat[1:]
        old = revision.find(self.name)
        if old is None or old.symlink != target:
            workplace.symlink(self.name, target)
        workplace.claims.update((LAYERS, FLAT, METADATA, self.name))
        for path in tree.implied():
            if not _is_in_layer(path) and revision.find(path) is None:
                workplace.directory(path)

    def _lay(self, workplace: Workplace, layer: Descriptor, diff_id: str) -> None:
        """One layer on those before it, fetched only where the repository has it not."""
        place = addressed(LAYERS, layer)
        directory = join(place, b"layerfs")
        tree = workplace.gatherer.tree
        flat = _Flat(tree, self.flat)
        if workplace.revision.find(directory) is not None:
            for path, entry, chunks, file in _published(workplace.revision, directory):
                if _is_implied(entry, workplace.gatherer.owner or NOBODY):
                    flat.imply(path)
                else:
                    flat.lay(path, entry, chunks, file)
            return
        if tree.find(directory) is not None:  # the very same layer twice, as layers of nothing often are
            for path, node in tree.below(directory):
                if node.entry is not None:
                    flat.lay(path[len(directory) :], node.entry, node.chunks, node.file)
            return
        self.fetched += 1
        mark(workplace, LAYERS)
        both = _Both(tree, directory, flat)
        with verified(self.blobs, layer) as read:
            plain = unpacked(read)
            hasher = hashlib.new(diff_id.partition(":")[0])
            followed = _followed(plain.read, hasher.update)
            workplace.gatherer.take(both, _members(TarStream(followed, is_sealed=True)))
            while followed(_READ):
                pass
        if hasher.hexdigest() != diff_id.partition(":")[2]:
            raise CorruptObject(
                f"the layer {layer.digest} unpacks to something else than the image's configuration says"
            )
        mark(workplace, place)

    def _finish_root(self, workplace: Workplace) -> None:
        """What runs containers from directories looks for, unless the image brought it."""
        tree, flat, config = workplace.gatherer.tree, self.flat, self.image.config
        tree.imply(flat)
        tree.displaced.clear()  # of layers, one may have a directory where one below has a file
        mark(workplace, FLAT)
        mark(workplace, flat)
        for name, content in (
            (b"/.singularity.d/env/10-docker2singularity.sh", environment_script(config)),
            (b"/.singularity.d/runscript", run_script(config)),
        ):
            if tree.find(flat + name) is None:
                workplace.write(flat + name, content, 0o755)


class _Flat:
    """The root file system that grows layer by layer."""

    def __init__(self, tree: LayeredTree, base: bytes) -> None:
        self._tree = tree
        self._base = base
        self._below = Below(tree, base)

    def lay(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...], file: int) -> int:
        """An entry of the layer, which may be a whiteout."""
        name = basename(path)
        if name == _OPAQUE:
            self._tree.empty(self._base + self._followed(path)[: -len(name) - 1])
        elif name.startswith(_WHITEOUT * 2):
            pass  # a note of aufs for itself
        elif name.startswith(_WHITEOUT):
            hidden = name[len(_WHITEOUT) :]
            if hidden in (b"", b".", b".."):
                raise FormatError("is a whiteout of nothing")
            above = self._base + self._followed(path)[: -len(name) - 1]
            self._tree.imply(above)  # the layer has this directory, to hold the whiteout
            self._tree.remove(join(above, hidden))
        else:
            where = self._base + self._followed(path)
            return self._tree.put(where, entry._replace(name=basename(where)), chunks, file)
        return 0

    def imply(self, path: bytes) -> None:
        """A directory of which the layer only says that it is there."""
        self._tree.imply(self._base + self._followed(path))

    def link(self, path: bytes, target: bytes) -> bool:
        """Another name of something in this layer or one below it."""
        return self._below.try_link(self._base + self._followed(path), self._base + self._followed(target))

    def _followed(self, path: bytes) -> bytes:
        """Where a path leads, with symbolic links on the way to it followed within the root, as in a chroot.

        So a layer may have `lib/x` without `lib`, which is a symbolic link in a layer below.
        """
        above, tried = parent(path), 0
        known = self._tree.find(self._base + above)
        if path == ROOT or (known is not None and known.may_hold):
            return path
        todo, done = above.split(b"/")[1:], ROOT
        while todo:
            part = todo.pop(0)
            if part in (b"", b".", b".."):
                done = parent(done) if part == b".." else done
                continue
            node = self._tree.find(self._base + join(done, part))
            if node is None or node.entry is None or not node.entry.is_symlink or tried >= _MOST_LINKS:
                done = join(done, part)
                continue
            tried += 1
            done = ROOT if node.entry.symlink.startswith(b"/") else done
            todo = node.entry.symlink.split(b"/") + todo
        return join(done, basename(path))

    def copy_to(self, path: bytes, target: bytes) -> bool:
        """The same, at a path of the repository elsewhere."""
        found = self._tree.find(self._base + self._followed(target))
        if found is None or found.entry is None or found.entry.is_directory:
            return False
        self._tree.put(path, found.entry._replace(name=basename(path)), found.chunks)
        return True


class _Both:
    """A Destination: a layer's own directory, and the root file system."""

    def __init__(self, tree: LayeredTree, base: bytes, flat: _Flat) -> None:
        self.base = base
        self._tree = tree
        self._flat = flat
        self._layer = Below(tree, base)

    def put(self, path: bytes, entry: Dirent, chunks: tuple[Chunk, ...]) -> None:
        """See Destination."""
        self._layer.put(path, entry, chunks)
        self._flat.lay(path, entry, chunks, 0)

    def link(self, path: bytes, target: bytes) -> None:
        """See Destination. Of a file that only layers below have the layer gets a copy."""
        if path == target:
            return
        where = self.base + path
        if not (self._layer.try_link(where, self.base + target) or self._flat.copy_to(where, target)):
            raise FormatError(f"is another name of {target!r}, which is no file of this layer or one below it")
        if not self._flat.link(path, target):
            self._flat.lay(path, self._entry(where), self._chunks(where), 0)

    def _entry(self, where: bytes) -> Dirent:
        found = self._tree.find(where)
        assert found is not None  # noqa: S101 - it was put just now
        assert found.entry is not None  # noqa: S101 - as an entry
        return found.entry

    def _chunks(self, where: bytes) -> tuple[Chunk, ...]:
        found = self._tree.find(where)
        return () if found is None else found.chunks


def _members(stream: TarStream) -> Iterator[Member]:
    """Whiteouts are files of nothing, whatever the layer says of them."""
    for member in stream:
        if basename(member.name.rstrip(b"/")).startswith(_WHITEOUT) and not stat.S_ISREG(member.mode):
            yield member._replace(mode=stat.S_IFREG | 0o644, is_link=False)
        else:
            yield member


def _published(revision: Revision, directory: bytes) -> Iterator[tuple[bytes, Dirent, tuple[Chunk, ...], int]]:
    """The entries of a layer that is in the repository; the number is the same for all names of one file."""
    files: dict[tuple[bytes, int], int] = {}
    numbers = count(1 << 40)  # far from those of the tree
    for path, entry in walk(revision, directory):
        chunks = revision.chunks(path) if entry.is_chunked else ()
        file = 0
        if entry.hardlink_group and not entry.is_directory:
            file = files.setdefault((parent(path), entry.hardlink_group), next(numbers))
        flags = entry.flags if not entry.is_directory else 1
        inside = path[len(directory) :]
        if inside != join(ROOT, NESTED_MARKER):
            yield inside, entry._replace(name=basename(path), hardlinks=1, flags=flags, rowid=0), chunks, file


def _is_implied(entry: Dirent, owner: Owner) -> bool:
    """Whether a directory looks as those do that a layer needed and did not have."""
    return entry.mode == _IMPLIED_MODE and (entry.uid, entry.gid) == owner


def _is_in_layer(path: bytes) -> bool:
    """Layers tell by their owner which directories were not in them."""
    return path.startswith(LAYERS + b"/") and path.count(b"/") > _DEPTH_OF_LAYERS


def addressed(top: bytes, descriptor: Descriptor) -> bytes:
    """Where what has this digest is, below `top`."""
    digits = descriptor.hex.encode()
    return top + b"/" + digits[:2] + b"/" + digits


def _followed(read: Read, follow: object) -> Read:
    def followed(size: int) -> bytes:
        data = read(size)
        follow(data)  # type: ignore[operator]
        return data

    return followed


def _write_once(workplace: Workplace, path: bytes, content: bytes) -> None:
    """A document of ours, unless it is there as it should be."""
    old = workplace.revision.find(path)
    if old is None or old.digest != workplace.warehouse.put_whole(path, content).digest:
        workplace.write(path, content)


def _check_name(revision: Revision, name: bytes) -> None:
    """UsageError where the image cannot get this name."""
    shown = name.decode("utf-8", "backslashreplace")
    if name == ROOT or any(name == top or name.startswith(top + b"/") for top in (LAYERS, FLAT, METADATA)):
        raise UsageError(f"an image cannot be called {shown or '/'}; choose a path of its own (-b)")
    old = revision.find(name)
    if old is not None and not old.is_symlink:
        raise UsageError(f"{shown} is no image in the repository but something else; choose another path (-b)")
