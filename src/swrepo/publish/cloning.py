"""A directory of the last revision copied to another path by its metadata alone: `transaction -T from=to`.

No content is read or stored again. Catalogs name their entries by the hashes of whole paths, so those below the new
directory are made anew, nested ones where the source has them; the others are the same objects as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from swrepo.catalog import schema
from swrepo.catalog.tree import CatalogTree
from swrepo.errors import TemplateRefused
from swrepo.format.dirent import Dirent
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT, ancestors, basename, is_within, join, normalise, parent
from swrepo.format.wellknown import RESERVED_DIRECTORY
from swrepo.publish.catalogs import Balance, CatalogEditor
from swrepo.publish.changes import Change, Kept, Left, Put
from swrepo.publish.nesting import CatalogPlaces
from swrepo.publish.opening import OpenRepository
from swrepo.publish.seal import Sealer
from swrepo.publish.template import Template
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk

_RESERVED = join(ROOT, RESERVED_DIRECTORY)


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """Which directory of the repository, and under which path it shall be there too."""

    source: bytes
    target: bytes

    @classmethod
    def parse(cls, text: bytes) -> CloneRequest:
        """`FROM=TO`. TemplateRefused."""
        source, separator, target = text.partition(b"=")
        if not separator or b"=" in target:
            raise TemplateRefused("a template is FROM=TO, two directories of the repository, as in /v1=/v2")
        return cls(normalise(source), normalise(target))

    def check(self, revision: Revision) -> None:
        """TemplateRefused unless it can be done in this revision."""
        source, target = _shown(self.source), _shown(self.target)
        if ROOT in (self.source, self.target):
            raise TemplateRefused("the top directory can be no template, and nothing can be cloned to it")
        if is_within(self.target, self.source):
            raise TemplateRefused(f"{source} cannot be cloned into itself ({target})")
        if is_within(self.source, _RESERVED) or is_within(self.target, _RESERVED):
            raise TemplateRefused(f"{_shown(_RESERVED)} is reserved for the repository itself")
        entry = revision.find(self.source)
        if entry is None or not entry.is_directory:
            what = "does not exist" if entry is None else "is no directory"
            raise TemplateRefused(f"the template {source} {what} in the last revision")
        if revision.find(self.target) is not None:
            raise TemplateRefused(f"{target} exists already; remove it, or choose another name")
        above = revision.find(parent(self.target))
        if above is None or not above.is_directory:
            raise TemplateRefused(
                f"{_shown(parent(self.target))} is no directory, so nothing can be cloned to {target}"
            )


@dataclass(slots=True)
class Clone:
    """The clone as changes in the order of the tree: iterate once. `tell` is called for each entry."""

    revision: Revision
    request: CloneRequest
    tell: Callable[[], object]
    entries: int = 0
    _groups: dict[tuple[bytes, int], bytes] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Change]:
        """The directories on the way, the clone, and the way back."""
        above, entered = parent(self.request.target), []
        for path in ancestors(above):
            entry = self.revision.lookup(path)
            nested = entry.is_nested_mountpoint
            if path == above:
                yield Put(path, entry._replace(hardlinks=entry.hardlinks + 1), entry, nested=nested)
            else:
                yield Kept(path, entry, nested)
            if nested:
                entered.append(path)
        yield from self._copied()
        for path in reversed(entered):
            yield Left(path)

    def _copied(self) -> Iterator[Change]:
        """The new directory and all that is in it."""
        source, target = self.request.source, self.request.target
        entered: list[bytes] = []
        for path, entry in walk(self.revision, source):
            copy = self._copy(path, target + path[len(source) :], entry)
            while entered and not is_within(copy.path, entered[-1]):
                yield Left(entered.pop())
            yield copy
            if copy.nested:
                entered.append(copy.path)
        for path in reversed(entered):
            yield Left(path)

    def _copy(self, source: bytes, target: bytes, entry: Dirent) -> Put:
        self.entries += 1
        self.tell()
        chunks = self.revision.chunks(source) if entry.is_chunked else ()
        nested = entry.is_nested_mountpoint or entry.is_nested_root
        group = None
        if entry.hardlink_group and not entry.is_directory:  # its names are all in one directory
            group = self._groups.setdefault((parent(source), entry.hardlink_group), target)
        copy = entry._replace(name=basename(target), hardlinks=entry.linkcount, rowid=0)
        return Put(target, copy, None, group=group, nested=nested, chunks=chunks)


def clone(
    repository: OpenRepository, request: CloneRequest, now_ns: int, tell: Callable[[], object]
) -> tuple[Template, int]:
    """Store the catalogs of the last revision with the clone in it, and count its entries. TemplateRefused."""
    base, settings = repository.base, repository.settings
    sealer = Sealer.of(repository, now_ns // 1_000_000)
    with ExitStack() as stack:
        revision = stack.enter_context(Revision(base.root, repository.objects, base.size))
        request.check(revision)
        source = stack.enter_context(Revision(base.root, repository.objects, base.size))
        editor = _editor(repository, revision.tree, sealer, now_ns)
        stack.callback(editor.discard)
        changes = Clone(source, request, tell)
        for change in changes:
            editor.apply(change)
        root = editor.finish({schema.KEY_TTL: str(settings.ttl), schema.KEY_REVISION: str(base.revision + 1)})
    if root is None:
        raise RuntimeError("a clone changed nothing")
    repository.storage.store.flush()
    return Template(root.id, root.size, base.root), changes.entries


def _editor(repository: OpenRepository, tree: CatalogTree, sealer: Sealer, now_ns: int) -> CatalogEditor:
    settings, balance = repository.settings, None
    if settings.weights is not None:
        balance = Balance(settings.weights, CatalogPlaces(settings.encoder, repository.storage.store))
    return CatalogEditor(
        tree,
        repository.base.root,
        repository.places.scratch,
        lambda file: sealer.save_file(file, Kind.CATALOG),
        now_ns // 1_000_000_000,
        balance,
    )


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace") or "/"
