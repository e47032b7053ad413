"""Which objects of a repository are in use, and which were by revisions that nobody keeps.

A catalog that was gone through is not gone through again, so that what many revisions share costs no more than once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import FormatError, ObjectNotFound, PublishError
from swrepo.format.object_id import ObjectId
from swrepo.format.paths import ROOT
from swrepo.objects.store import LocalObjects, Want
from swrepo.upkeep.object_set import ObjectTables

_Step = tuple[ObjectId, bytes, bool]
"""A catalog, where it is mounted, and whether all below it was seen."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Fills the tables. `advance` is told of each catalog."""

    objects: LocalObjects
    tables: ObjectTables
    advance: Callable[[int], object]

    def keep(self, root: ObjectId, what: str) -> int:
        """Everything that a root catalog reaches is in use; how many catalogs were new.

        PublishError where a catalog is missing: what else is in use can then not be known.
        """
        try:
            return self._keep(root)
        except ObjectNotFound as error:
            raise PublishError(
                f"{what} is not whole, so nothing can be collected ({error}); 'check' names what is missing; remove "
                "the tag, or restore the object from a replica or backup"
            ) from error

    def keep_what_is_left(self, root: ObjectId) -> bool:
        """The same for an old revision that may have been swept in part; False where even its root is gone."""
        with self._catalog(root, ROOT) as catalog:
            if catalog is None:
                return False
        self._keep(root, or_missing=True)
        return True

    def condemn(self, root: ObjectId) -> int:
        """What a root catalog reaches is not in use by itself; how many catalogs were not condemned before.

        They come into the sequence of the tables, each after those below it: whoever is interrupted in removing them
        in that order finds the rest from the root.
        """
        count = 0
        stack: list[_Step] = [(root, ROOT, False)]
        while stack:
            name, path, is_done = stack.pop()
            if is_done:
                self.tables.append(name)
                continue
            if name in self.tables.live or name in self.tables.condemned:
                continue
            self.tables.condemned.add(name)
            with self._catalog(name, path) as catalog:
                if catalog is None:
                    continue  # swept by a collection that was interrupted
                count += 1
                stack.append((name, path, True))
                stack.extend((ref.id, ref.path, False) for ref in catalog.nested())
                for content in catalog.contents():
                    self.tables.condemned.add_content(*content)
            self.advance(1)
        return count

    def _keep(self, root: ObjectId, *, or_missing: bool = False) -> int:
        count = 0
        stack = [(root, ROOT)]
        while stack:
            name, path = stack.pop()
            if name in self.tables.live:
                continue
            with self._catalog(name, path) as catalog:
                if catalog is None:
                    if or_missing:
                        continue
                    raise ObjectNotFound(f"the catalog {name} of {(path or b'/').decode(errors='backslashreplace')}")
                self.tables.live.add(name)
                count += 1
                stack.extend((ref.id, ref.path) for ref in catalog.nested())
                for content in catalog.contents():
                    self.tables.live.add_content(*content)
            self.advance(1)
        return count

    @contextmanager
    def _catalog(self, name: ObjectId, path: bytes) -> Iterator[CatalogFile | None]:
        try:
            descriptor = self.objects.open(Want(name))
        except ObjectNotFound:
            yield None
            return
        try:
            catalog = CatalogFile.open(descriptor, path)
        finally:
            os.close(descriptor)
        try:
            yield catalog
        except ValueError as error:  # a hash algorithm that does not exist
            raise FormatError(f"the catalog {name} names objects that this version does not know: {error}") from error
        finally:
            catalog.close()
