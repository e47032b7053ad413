"""What a repository of this server shows to its clients, seen from the server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.catalog.counters import Counters
from swrepo.errors import SwrepoError
from swrepo.format import envelope, manifest, whitelist
from swrepo.format.manifest import Manifest
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.format.whitelist import Whitelist
from swrepo.objects.store import LocalObjects
from swrepo.publish import replica_settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.plain import PlainObjects
from swrepo.publish.storage import reading
from swrepo.publish.upstream import S3Upstream
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.history import DEFAULT_BRANCH, Branch, Tag, open_history
from swrepo.repository.revision import Revision
from swrepo.trust.chain import TrustAnchors
from swrepo.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class State:
    """A repository's manifest and whitelist, and why clients refuse them, if they do."""

    places: RepositoryPlaces
    manifest: Manifest
    whitelist: Whitelist
    refusal: str

    def tags(self) -> tuple[Tag, ...]:
        """Every named revision."""
        if self.manifest.history is None:
            return ()
        with _objects(self.places) as objects, closing(open_history(self.manifest.history, objects)) as history:
            return history.tags()

    def branches(self) -> tuple[Branch, ...]:
        """Every branch, the default one first."""
        if self.manifest.history is None:
            return (Branch(DEFAULT_BRANCH, None, 0),)
        with _objects(self.places) as objects, closing(open_history(self.manifest.history, objects)) as history:
            return history.branches()

    @contextmanager
    def revision(self) -> Iterator[Revision]:
        """The newest revision, to be read."""
        with _objects(self.places) as objects, Revision(self.manifest.root_catalog, objects) as revision:
            yield revision

    def counters(self) -> Counters:
        """What the newest revision holds."""
        with _objects(self.places) as objects, Revision(self.manifest.root_catalog, objects) as revision:
            counts = revision.tree.root.counters()
            return counts.own + counts.subtree


def state(places: RepositoryPlaces, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> State:
    """Read what is published. NotFound or FormatError where that is not possible."""
    source = reading(places)
    published = manifest.parse(envelope.split(source.read(MANIFEST)).body)
    listed = whitelist.parse(envelope.split(source.read(WHITELIST)).body)
    refusal = ""
    try:
        name, files = replica_settings.identity(places)
        anchors = TrustAnchors(tuple(key for file in files for key in PublicKey.parse_all(file.read_bytes())))
        trusted_manifest(name, source, source, anchors, now())
    except (SwrepoError, OSError) as error:
        refusal = str(error)
    return State(places, published, listed, refusal)


@contextmanager
def _objects(places: RepositoryPlaces) -> Iterator[LocalObjects]:
    """The repository's objects: out of a cache only where they are far away."""
    source = reading(places)
    if not isinstance(places.upstream, S3Upstream):
        yield PlainObjects(source, _scratch(places))
        return
    from swrepo.cache.disk import DiskCache

    with closing(DiskCache(places.spool / "cache", source)) as cache:
        yield cache


def _scratch(places: RepositoryPlaces) -> Path:
    """Where files without names can be made: in the spool directory by its owner, elsewhere by everybody else."""
    if os.access(places.spool, os.W_OK | os.X_OK):
        return places.spool
    import tempfile

    return Path(tempfile.gettempdir())
