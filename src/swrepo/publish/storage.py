"""Where a publication reads and writes: the three faces of a repository's storage, put together once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import ObjectSource, ObjectStore, WritableDocuments
from swrepo.publish.layout import RepositoryPlaces


class FlushableStore(ObjectStore, Protocol):
    """A store in which objects need not be durable, nor have their names, until they are flushed."""

    stored_objects: int
    stored_bytes: int

    def flush(self) -> None:
        """Make everything that was put durable under its name."""
        ...


@dataclass(frozen=True, slots=True)
class Storage:
    """What has been published can be read through `source` and `documents`; `store` takes what is new."""

    source: ObjectSource
    store: FlushableStore
    documents: WritableDocuments


OpenStorage = Callable[[RepositoryPlaces], Storage]
"""Opens the storage of a repository; called by the holder of its lock."""


def in_directory(places: RepositoryPlaces) -> Storage:
    """The storage that a web server shows. Puts aside what a killed publication left."""
    objects = DirectoryObjects(places.storage)
    objects.discard_unfinished()
    return Storage(objects, ObjectBatch(places.storage, objects), objects)
