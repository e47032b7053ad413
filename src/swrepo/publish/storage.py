"""Where a publication reads and writes: the three faces of a repository's storage, put together once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import ObjectSource, ObjectStore, WritableDocuments
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.upstream import S3Upstream

if TYPE_CHECKING:
    from swrepo.net.s3_objects import S3Objects

    Stored = DirectoryObjects | S3Objects


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


def opened(places: RepositoryPlaces) -> Storage:
    """The storage that the repository's settings name. Puts aside what a killed publication left."""
    if isinstance(places.upstream, S3Upstream):
        return in_s3(places.upstream)
    return in_directory(places)


def prepare(places: RepositoryPlaces) -> None:
    """Make what a new repository is stored in; what is there already stays."""
    if isinstance(places.upstream, S3Upstream):
        _bucket(places.upstream).create()
    else:
        DirectoryObjects(places.storage).create()


def bucket(fqrn: str, configuration: Path, url: str, temporary: Path) -> S3Upstream:
    """Where a new repository lies in the bucket that a file describes and clients find at `url`.

    As in the original: behind a host that has the bucket in its name, the path of the URL is part of the keys.
    """
    from swrepo.net import s3_settings

    above = urlsplit(url).path.strip("/") if s3_settings.load(configuration).dns_buckets else ""
    return S3Upstream(temporary, f"{above}/{fqrn}" if above else fqrn, configuration)


def _bucket(upstream: S3Upstream) -> S3Objects:
    # Imported here: what speaks HTTP takes longer to load than publishing a small change to a directory.
    from swrepo.net import s3_settings
    from swrepo.net.s3_client import S3Client
    from swrepo.net.s3_objects import S3Objects

    return S3Objects(S3Client(s3_settings.load(upstream.configuration)), upstream.alias)


def reading(places: RepositoryPlaces) -> Stored:
    """Objects and documents of a repository, where they are, for those who do not hold its lock."""
    return _bucket(places.upstream) if isinstance(places.upstream, S3Upstream) else DirectoryObjects(places.storage)


def in_s3(upstream: S3Upstream) -> Storage:
    """A bucket."""
    from swrepo.net.s3_batch import S3Batch

    objects = _bucket(upstream)
    return Storage(objects, S3Batch(objects), objects)


def in_directory(places: RepositoryPlaces) -> Storage:
    """The storage that a web server shows. Puts aside what a killed publication left."""
    objects = DirectoryObjects(places.storage)
    objects.discard_unfinished()
    return Storage(objects, ObjectBatch(places.storage, objects), objects)
