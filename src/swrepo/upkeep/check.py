"""The check of a repository from beginning to end; nothing of it is changed, but for the status that it publishes.

signatures, tags, reference log -> every catalog, its rows and counters -> every object's presence -> if wanted,
every object's bytes
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.catalog.nested import NestedRef
from swrepo.errors import NotFound
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import MANIFEST
from swrepo.objects.directory import writing
from swrepo.publish import replica_settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.progress import Phase, Progress, Silent
from swrepo.publish.storage import reading
from swrepo.repository.history import open_history
from swrepo.system.atomic import make_directory
from swrepo.system.lock import exclusive
from swrepo.system.ownership import leave_to_owner
from swrepo.upkeep import published_status
from swrepo.upkeep.document_check import DocumentCheck
from swrepo.upkeep.opening import Keeper, collection_lock
from swrepo.upkeep.scrub import scrub, scrub_bucket
from swrepo.upkeep.tree_check import TreeCheck

if TYPE_CHECKING:
    from swrepo.publish.storage import Stored


@dataclass(frozen=True, slots=True)
class Scope:
    """What is checked: the newest revision or a tag's, all of it or from a nested catalog on.

    `contents`: that every object is there; `integrity`: that the bytes of all objects of the storage are right.
    """

    tag: str = ""
    subtree: bytes = ROOT
    contents: bool = True
    integrity: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the outcome says something about the repository as it is."""
        return not self.tag and self.subtree == ROOT


@dataclass(slots=True)
class Checked:
    """What was looked at, and how many faults were told."""

    catalogs: int = 0
    entries: int = 0
    objects: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class RepositoryCheck:
    """One check. `fault` is called with where (a path) and what, once for each."""

    keeper: Keeper
    scope: Scope
    fault: Callable[[bytes, str], object]
    progress: Progress = Silent()  # noqa: RUF009 - has no state
    _counted: Checked = field(default_factory=Checked)

    def run(self, fqrn: str) -> Checked:
        """Check. NotFound where there is no such repository, tag or nested catalog; Busy while it is collected."""
        places = self.keeper.layout.repository(fqrn)
        replica_settings.of_any(places)
        with exclusive(collection_lock(places), f"checking {fqrn}"), _scratch(places) as scratch:
            storage = reading(places)
            objects = PlainObjects(storage, scratch)
            manifest = manifests.parse(envelope.split(storage.read(MANIFEST)).body)
            name, keys = replica_settings.identity(places)
            self._documents(places, keys, manifest, DocumentCheck(name, storage, storage, objects, self._tell, scratch))
            self._tree(manifest, objects, storage)
            if self.scope.integrity:
                self.progress.phase(Phase.CHECKING_OBJECTS)
                self._counted.objects = self._scrub(places, storage)
            if self.scope.is_whole:
                outcome = "failed" if self._counted.faults else "succeeded"
                when = published_status.moment(self.keeper.now())
                published_status.update(storage, last_check=when, check_status=outcome)
        return self._counted

    def _documents(
        self, places: RepositoryPlaces, keys: tuple[Path, ...], manifest: Manifest, check: DocumentCheck
    ) -> None:
        if not self.scope.is_whole:
            return
        self.progress.phase(Phase.CHECKING)
        check.signatures(keys, self.keeper.now())
        check.named(manifest)
        check.tags(manifest, _presence(places))
        check.reflog(manifest, places.reflog_checksum)

    def _tree(self, manifest: Manifest, objects: PlainObjects, storage: Stored) -> None:
        self.progress.phase(Phase.CHECKING_CATALOGS)
        has_object = _has(storage) if self.scope.contents else None
        check = TreeCheck(objects, self._tell, has_object, self.progress.advance)
        root = self._root(manifest, objects)
        if self.scope.subtree != ROOT:
            root = check.find(root, self.scope.subtree)
        check.run(root)
        self._counted.catalogs, self._counted.entries = check.catalogs, check.entries

    def _scrub(self, places: RepositoryPlaces, storage: Stored) -> int:
        if places.is_local:
            return scrub(places.storage, self._tell, self.progress.advance)
        return scrub_bucket(storage, self._tell, self.progress.advance)

    def _root(self, manifest: Manifest, objects: PlainObjects) -> NestedRef:
        name = self.scope.tag
        if not name:
            return NestedRef(ROOT, manifest.root_catalog, manifest.root_size)
        if manifest.history is None:
            raise NotFound(f"there is no tag {name}")
        with closing(open_history(manifest.history, objects)) as history:
            tag = history.find(name)
        if tag is None:
            raise NotFound(f"there is no tag {name}")
        return NestedRef(ROOT, tag.root, tag.size)

    def _tell(self, path: bytes, what: str) -> None:
        self._counted.faults += 1
        self.fault(path, what)


def _presence(places: RepositoryPlaces) -> Callable[[ObjectId], bool]:
    return _has(reading(places))


def _has(storage: Stored) -> Callable[[ObjectId], bool]:
    return lambda name: storage.stored_size(name) is not None


@contextmanager
def _scratch(places: RepositoryPlaces) -> Iterator[Path]:
    """A directory of the check's own: publications go on meanwhile, and empty theirs."""
    directory = places.spool / "check"
    with writing(directory):
        shutil.rmtree(directory, ignore_errors=True)
        make_directory(directory, 0o700)
        leave_to_owner(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
