"""What tests of replicas share: a copy of a published repository, and an origin that notes what it is asked for."""

from __future__ import annotations

import copy
import dataclasses
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.replica_settings import ReplicaSettings
from swrepo.replica.adding import ReplicaRequest, add_replica
from swrepo.replica.origin import Origin
from swrepo.replica.snapshot import Copied, Snapshot
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.opening import Keeper
from tests.publishing import Server


class Noting(Origin):
    """Notes the objects that it hands out; `before` is called with the name of each one that is asked for."""

    def __init__(self, wanted: ReplicaSettings, asked: list[ObjectId], before: Callable[[ObjectId], object]) -> None:
        super().__init__(wanted)
        self._lock = threading.Lock()
        self._asked, self._before = asked, before

    def fetch(self, name: ObjectId, plain_size: int | None, out: BinaryIO) -> None:
        self._note(name)
        super().fetch(name, plain_size, out)

    def fetch_many(
        self, names: Sequence[tuple[ObjectId, int]], deliver: Callable[[ObjectId, bytes], object]
    ) -> list[ObjectId]:
        for name, _ in names:
            self._note(name)
        return super().fetch_many(names, deliver)

    def _note(self, name: ObjectId) -> None:
        with self._lock:
            self._asked.append(name)
            self._before(name)


class Replica:
    """A copy of what `server` publishes, on a server of its own."""

    def __init__(self, prefix: Path, server: Server, url: str = "", **changes: Any) -> None:
        self.layout = ServerLayout(prefix)
        self.server = server
        self.asked: list[ObjectId] = []
        self.before: Callable[[ObjectId], object] = lambda _: None
        request = ReplicaRequest(url or server.places.storage.as_uri(), (server.places.keys.public,))
        self.added = add_replica(self.layout, dataclasses.replace(request, **changes), server.now())

    @property
    def places(self) -> RepositoryPlaces:
        return self.layout.repository(self.added.places.fqrn)

    @property
    def keeper(self) -> Keeper:
        return Keeper(self.layout, self.server.clock.nanoseconds)

    def snapshot(self, **changes: Any) -> Copied:
        """Copy what is new; `asked` has what came for it."""
        self.asked.clear()
        snapshot = Snapshot(self.keeper, open_origin=lambda wanted: Noting(wanted, self.asked, self.before))
        return dataclasses.replace(snapshot, **changes).run(self.places.fqrn)

    def objects(self) -> set[ObjectId]:
        return set(DirectoryObjects(self.places.storage).list())

    def document(self, name: str) -> bytes:
        return DirectoryObjects(self.places.storage).read(name, 1 << 20)

    def faults(self) -> list[str]:
        found: list[str] = []
        check = RepositoryCheck(
            self.keeper, Scope(integrity=True), lambda path, what: found.append(f"{path!r}: {what}")
        )
        check.run(self.places.fqrn)
        return found


def copy_of(server: Server, prefix: Path) -> Server:
    """The same server below another directory: quicker than publishing everything again."""
    before = server.layout.prefix
    shutil.copytree(before, prefix, symlinks=True)
    found = copy.copy(server)
    found.clock = copy.copy(server.clock)
    found.layout = ServerLayout(prefix)
    for file in found.layout.configurations.rglob("*.conf"):
        file.write_text(file.read_text().replace(str(before), str(prefix)))
    found.places = found.layout.repository(server.fqrn)
    found.tree = found.places.worktree
    return found
