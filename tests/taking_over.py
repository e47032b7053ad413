"""Golden repositories put where a server of ours has its own: the same files in the same places."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from swrepo.format import envelope, manifest
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from tests.golden import Golden


def taken_over(repository: Golden, prefix: Path, served: Path | None = None) -> ServerLayout:
    """A server that has a copy of the repository, with its keys, configuration and the reference log's checksum."""
    layout = ServerLayout(prefix)
    places = layout.repository(repository.fqrn)
    shutil.copytree(repository.path / "keys", layout.keys)
    places.configuration.mkdir(parents=True)
    for name in ("server.conf", "client.conf"):
        shutil.copy(repository.path / name, places.configuration)
    shutil.copytree(served or repository.served, places.storage)
    places.spool.mkdir(parents=True)
    places.worktree.mkdir(parents=True)
    log = ObjectId.of((places.storage / REFLOG).read_bytes(), current(places).root_catalog.algorithm)
    places.reflog_checksum.write_text(f"{log}\n")
    return layout


def current(places: RepositoryPlaces) -> Manifest:
    """What is published, without a look at the signature."""
    return manifest.parse(envelope.split(DirectoryObjects(places.storage).read(MANIFEST)).body)


def objects(places: RepositoryPlaces) -> set[str]:
    return {name.name for name in DirectoryObjects(places.storage).list()}


class StandingClock:
    """A clock that moves only when told to."""

    def __init__(self, moment: datetime) -> None:
        self.ns = int(moment.timestamp() * 10**9)

    def __call__(self) -> int:
        return self.ns

    def tick(self, seconds: float = 60) -> None:
        self.ns += int(seconds * 10**9)
