"""What else changes a repository may be interrupted too: the repository reads completely, and the command run again
does what it was to do.

The short form takes seconds. `SWREPO_STRESS=long` (make stress): fifty interruptions of each command.
"""

from __future__ import annotations

import os
import random
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.format.manifest import Manifest
from swrepo.repository.walk import walk
from tests.replicas import Replica
from tests.stress.disk import disk_in
from tests.stress.site import Site, site_on
from tests.stress.strikes import Striker
from tests.stress.test_commands import IS_LONG, assert_says_what_it_is

ROUNDS = 50 if IS_LONG else 1
STRIKES = ("kill -9", "kill -9 of all", "power", "kill -9", "SIGTERM", "kill -9", "Ctrl-C", "full disk", "failing disk")

pytestmark = [
    pytest.mark.mount,
    pytest.mark.timeout(3600 if IS_LONG else 120),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks"),
]


class Operation:
    """A command, how its next use is prepared, and what is true once it was done."""

    def __init__(self, site: Site, dice: random.Random) -> None:
        self.site = site
        self.dice = dice

    def prepare(self) -> list[str]:
        """The next command line."""
        raise NotImplementedError

    def again(self, command: list[str]) -> None:
        """After whatever happened to the command."""
        self.site.run(command)

    def server(self, *words: object) -> list[str]:
        return self.site.command(*words, program="cvmfs_server")


class Ingest(Operation):
    def prepare(self) -> list[str]:
        file = self.site.prefix / "new.tar"
        with tarfile.open(file, "w") as archive:
            for number in range(100):
                member = tarfile.TarInfo(f"d{number % 7}/f{number}")
                member.size = self.dice.randrange(3000)
                archive.addfile(member, BytesIO(self.dice.randbytes(member.size)))
        return self.server("ingest", "-t", file, "-b", f"sw/{self.dice.randrange(5)}", "-c", self.site.fqrn)


class AddTag(Operation):
    def prepare(self) -> list[str]:
        self.name = f"tag-{self.dice.getrandbits(64)}"
        return self.server("tag", "-a", self.name, "-m", "made under fire", self.site.fqrn)

    def again(self, command: list[str]) -> None:
        if self.name not in self.site.server.tags():
            self.site.run(command)
        assert self.name in self.site.server.tags()


class RemoveTag(Operation):
    def prepare(self) -> list[str]:
        self.site.run(self.server("tag", "-a", "doomed", self.site.fqrn))
        return self.server("tag", "-r", "doomed", "-f", self.site.fqrn)

    def again(self, command: list[str]) -> None:
        if "doomed" in self.site.server.tags():
            self.site.run(command)
        assert "doomed" not in self.site.server.tags()


class Rollback(Operation):
    def prepare(self) -> list[str]:
        if "way-back" not in self.site.server.tags():
            self.site.run(self.server("tag", "-a", "way-back", self.site.fqrn))
            self.site.change(50)
            self.site.run(self.site.publish)
        return self.server("rollback", "-f", "-t", "way-back", self.site.fqrn)

    def again(self, command: list[str]) -> None:
        if self.site.server.tags()["way-back"].root != self.site.server.manifest().root_catalog:
            self.site.run(command)  # else it is done: the tag moves along
        tag, now = self.site.server.tags()["way-back"], self.site.server.manifest()
        then = replace(now, root_catalog=tag.root, root_size=tag.size)
        assert self._shown(now) == self._shown(then)

    def _shown(self, manifest: Manifest) -> dict[bytes, tuple[object, ...]]:
        with self.site.server.revision(manifest) as revision:
            return {path: (entry.mode, entry.mtime, entry.digest) for path, entry in walk(revision)}


class Collection(Operation):
    def prepare(self) -> list[str]:
        return self.server("gc", "-r", "0", "-f", self.site.fqrn)

    def again(self, command: list[str]) -> None:
        self.site.run(command)
        assert "would remove 0 objects" in self.site.run([*command, "-d"])


class Snapshots(Operation):
    """Of a replica on the same disk."""

    def __init__(self, site: Site, dice: random.Random) -> None:
        super().__init__(site, dice)
        self.replica = Replica(site.prefix.parent / "replica", site.server)

    def prepare(self) -> list[str]:
        return self.server("snapshot", self.site.fqrn)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.site.environment, "SWREPO_PREFIX": str(self.replica.layout.prefix)}

    def again(self, command: list[str]) -> None:
        """Also what a client of the replica saw meanwhile is whole."""
        if (self.replica.places.storage / ".cvmfspublished").exists():
            # One that ends between the log's checksum and the log leaves that for the next one to mend.
            assert [fault for fault in self.replica.faults() if ".cvmfsreflog" not in fault] == []
        self.site.run(command, self.environment)
        assert self.replica.faults() == []
        assert self.replica.document(".cvmfspublished") == self._published()
        assert list((self.replica.places.storage / "data/txn").iterdir()) == []

    def _published(self) -> bytes:
        return (self.site.server.places.storage / ".cvmfspublished").read_bytes()


OPERATIONS: Sequence[Callable[[Site, random.Random], Operation]] = (
    Ingest, AddTag, RemoveTag, Rollback, Collection, Snapshots,
)  # fmt: skip


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_a_command_that_is_interrupted_is_run_again(tmp_path: Path, kind: Callable[..., Operation]) -> None:
    dice = random.Random(kind.__name__)
    seen: Counter[tuple[str, bool]] = Counter()
    with disk_in(tmp_path, dice) as disk:
        site = site_on(disk, dice, files=100)
        operation = kind(site, dice)
        environment = getattr(operation, "environment", site.environment)
        site.run(operation.prepare(), environment)
        striker = Striker(environment, disk, dice, 0.5)
        for _ in range(ROUNDS):
            site.change(50)
            site.run(site.publish)
            command = operation.prepare()
            disk.sync()
            strike = dice.choice(STRIKES)
            old = site.revision()
            ended = striker.kinds[strike](command)
            assert_says_what_it_is(ended, strike)
            assert site.revision() in (old, old + 1)
            seen[strike, ended.code == 0] += 1
            operation.again(command)
            site.revision()
            site.assert_tidy()
            site.check_with_the_original()
        site.run(site.publish)
        site.server.check(site.tree) if kind is not Ingest else site.revision()
    print(kind.__name__, dict(seen))
