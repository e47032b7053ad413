"""Names given to revisions, moved and taken away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from swrepo.catalog.nested import NestedRef
from swrepo.catalog.reader import CatalogFile
from swrepo.errors import FormatError, NotFound, ObjectNotFound, UsageError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.format.wellknown import TRUNK, TRUNK_PREVIOUS
from swrepo.objects.store import Want
from swrepo.publish.opening import OpenRepository
from swrepo.publish.seal import HistoryEdit
from swrepo.repository.history import HistoryWriter, Tag
from swrepo.upkeep.opening import Keeper, refuse_unfinished


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of the repositories of a server."""

    keeper: Keeper

    def add(
        self, fqrn: str, name: str, message: str = "", root: ObjectId | None = None, revision: int | None = None
    ) -> Tag:
        """Name the newest revision, or that of a root catalog or number. A tag that is there moves, where one is given.

        UsageError for a name that is taken or cannot be one, NotFound where there is no such revision.
        """
        _check_name(name)
        with self.keeper.open(fqrn, "tagging") as repository:
            refuse_unfinished(repository)
            chosen = root or _by_number(repository, revision) or repository.manifest.root_catalog
            tag = _tag(repository, chosen, name, message)
            may_move = root is not None or revision is not None

            def edit(writer: HistoryWriter, _: Manifest) -> None:
                old = writer.find(name)
                if old is None:
                    writer.add(tag)
                    return
                if not may_move:
                    raise UsageError(
                        f"the tag {name} is taken by revision {old.revision}; -h HASH moves it to another one"
                    )
                if old.root == tag.root:
                    raise UsageError(f"the tag {name} is at {tag.root.text} already")
                writer.add(replace(tag, description=message or old.description, branch=old.branch))

            self._amend(repository, edit)
        return tag

    def remove(self, fqrn: str, names: Sequence[str]) -> list[Tag]:
        """Take names away, all or none; the branches go on which no tag is left. NotFound."""
        for name in names:
            if name in (TRUNK, TRUNK_PREVIOUS):
                raise UsageError(f"the tag {name} is kept by publications and cannot be removed")
        removed: list[Tag] = []
        with self.keeper.open(fqrn, "removing tags of") as repository:
            refuse_unfinished(repository)

            def edit(writer: HistoryWriter, _: Manifest) -> None:
                found = {name: writer.find(name) for name in names}
                if missing := [name for name, tag in found.items() if tag is None]:
                    raise NotFound(f"{fqrn} has no tag {', '.join(missing)}; nothing was removed")
                for name, tag in found.items():
                    writer.remove(name)
                    if tag is not None:
                        removed.append(tag)
                writer.prune_branches()

            self._amend(repository, edit)
        return removed

    def _amend(self, repository: OpenRepository, edit: HistoryEdit) -> None:
        manifest = repository.manifest
        root = NestedRef(ROOT, manifest.root_catalog, manifest.root_size)
        self.keeper.sealer(repository).amend(manifest, root, edit)


def _check_name(name: str) -> None:
    if name in (TRUNK, TRUNK_PREVIOUS):
        raise UsageError(f"the tag {name} is moved by every publication and cannot be given; choose another name")
    if not name or any(character.isspace() or character == "\0" for character in name):
        raise UsageError(f"{name!r} cannot be a tag's name: it must not be empty or have white space")


def _tag(repository: OpenRepository, root: ObjectId, name: str, message: str) -> Tag:
    """A tag for a root catalog, with what that says of itself."""
    try:
        descriptor = repository.objects.open(Want(root))
    except ObjectNotFound as error:
        raise NotFound(f"{repository.places.fqrn} has no revision with the root catalog {root.text}") from error
    try:
        size = os.fstat(descriptor).st_size
        with closing(CatalogFile.open(descriptor)) as catalog:
            if catalog.root_prefix != ROOT:
                raise FormatError(f"{root.text} is the catalog of {catalog.root_prefix!r} and no root catalog")
            return Tag(name, root, size, catalog.revision, catalog.last_modified, message)
    finally:
        os.close(descriptor)


def _by_number(repository: OpenRepository, revision: int | None) -> ObjectId | None:
    """The root catalog of a revision of the default branch: from each to the one before it."""
    if revision is None:
        return None
    name: ObjectId | None = repository.manifest.root_catalog
    while name is not None:
        try:
            descriptor = repository.objects.open(Want(name))
        except ObjectNotFound:
            break
        try:
            with closing(CatalogFile.open(descriptor)) as catalog:
                if catalog.revision == revision:
                    return name
                name = catalog.previous_revision if catalog.revision > revision else None
        finally:
            os.close(descriptor)
    raise NotFound(f"{repository.places.fqrn} has no revision {revision}, or it was collected")
