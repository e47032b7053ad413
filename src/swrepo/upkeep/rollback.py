"""An old revision becomes the newest one again, and the tags in between go. Source: format.md 7, original.md 2."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace

from swrepo.catalog import schema
from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import NotFound, UsageError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import TRUNK, TRUNK_PREVIOUS
from swrepo.objects.store import Want
from swrepo.publish.opening import OpenRepository
from swrepo.publish.seal import Sealer
from swrepo.repository.history import DEFAULT_BRANCH, HistoryWriter, Tag, open_history
from swrepo.upkeep.opening import Keeper, refuse_unfinished


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The new revision, the one that it is like, and the tags that went."""

    revision: int
    target: Tag
    removed: tuple[Tag, ...]


def roll_back(keeper: Keeper, fqrn: str, name: str = "") -> RolledBack:
    """Publish the revision of a tag again; without a name the one before the newest, once.

    NotFound where there is no such tag, UsageError where it is the newest revision or on a branch.
    """
    with keeper.open(fqrn, "rolling back") as repository:
        refuse_unfinished(repository)
        current, sealer = repository.manifest, keeper.sealer(repository)
        target = _target(repository, name)
        if target.branch != DEFAULT_BRANCH:
            raise UsageError(f"the tag {target.name} is on the branch {target.branch}; only the default one rolls back")
        if target.revision >= current.revision:
            raise UsageError(f"the tag {target.name} is the newest revision, {current.revision}; nothing to roll back")
        root = _root_again(repository, sealer, target)
        removed: list[Tag] = []

        def edit(writer: HistoryWriter, manifest: Manifest) -> None:
            for tag in writer.tags():
                if tag.branch == DEFAULT_BRANCH and (tag.revision > target.revision or tag.name == target.name):
                    writer.remove(tag.name)
                    if tag.name not in (target.name, TRUNK, TRUNK_PREVIOUS):
                        removed.append(tag)
            now, size = manifest.timestamp or 0, manifest.root_size or 0
            if target.name != TRUNK_PREVIOUS:
                writer.add(replace(target, root=root.id, size=size, revision=manifest.revision, timestamp=now))
            writer.stand_at(root.id, size, manifest.revision, now)
            writer.prune_branches()

        manifest = sealer.amend(replace(current, revision=current.revision + 1), root, edit)
    return RolledBack(manifest.revision, target, tuple(removed))


def _target(repository: OpenRepository, name: str) -> Tag:
    found = None
    if repository.manifest.history is not None:
        with closing(open_history(repository.manifest.history, repository.objects)) as history:
            found = history.find(name or TRUNK_PREVIOUS)
    if found is None:
        missing = f"has no tag {name}" if name else "can be undone only once in a row; name a tag with -t"
        raise NotFound(f"{repository.places.fqrn} {missing}")
    return found


def _root_again(repository: OpenRepository, sealer: Sealer, target: Tag) -> NestedRef:
    """The root catalog of a tag as that of the next revision: nothing below it changes."""
    current, file = repository.manifest, repository.places.scratch / "root"
    descriptor = repository.objects.open(Want(target.root, size=target.size))
    try:
        with closing(CatalogFile.open(descriptor)) as catalog:
            writer = CatalogWriter.edit(catalog, file)
    finally:
        os.close(descriptor)
    size = writer.finish(
        {
            schema.KEY_REVISION: str(current.revision + 1),
            schema.KEY_PREVIOUS_REVISION: current.root_catalog.text,
            schema.KEY_LAST_MODIFIED: str(sealer.now_ms // 1000),
            schema.KEY_TTL: str(current.ttl),
        }
    )
    return NestedRef(ROOT, sealer.save_file(file, Kind.CATALOG), size)
