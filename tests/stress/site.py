"""A repository on a disk that may fail, worked on by our commands as a user runs them; and what must be true of it."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from swrepo.format.object_id import ObjectId
from tests.mount.programs import PROGRAMS
from tests.publishing import Server, check_catalogs, fast_options
from tests.stress.disk import Disk

ORIGINAL_CHECK = os.environ.get("SWREPO_ORIGINAL_CHECK")
"""A program that checks the repository NAME below PREFIX as CernVM-FS does, where somebody has one."""

_TEMPORARY = (".tmp-", "put.", "batch.")


class Site:
    """A server below `prefix`; `tree` is an ordinary directory beside it, which gets published."""

    def __init__(self, prefix: Path, dice: random.Random, files: int, largest: int) -> None:
        self.prefix = prefix
        self.server = Server(prefix, fast_options(garbage_collectable=True), now_ns=time.time_ns)
        self.fqrn = self.server.fqrn
        self.tree = prefix / "tree"
        self.files = files
        self._largest = largest
        self._dice = dice
        for directory in self._directories():
            directory.mkdir(parents=True)
            (directory / ".cvmfscatalog").touch()
        self.change(files)

    def change(self, count: int) -> None:
        """Write so many files anew, remove some, and one that is cut into chunks."""
        directories = self._directories()
        for number in self._dice.sample(range(self.files), count):
            path = directories[number % len(directories)] / f"f{number}"
            if path.exists() and self._dice.random() < 0.1:
                path.unlink()
            else:
                path.write_bytes(self._dice.randbytes(self._dice.randrange(self._largest)))
        if self._dice.random() < 0.3:
            (self.tree / "large").write_bytes(self._dice.randbytes(self._dice.randrange(20_000, 200_000)))

    def _directories(self) -> list[Path]:
        return [self.tree / f"d{number}" for number in range(4)]

    def command(self, *words: object, program: str = "swrepo") -> list[str]:
        """A command line."""
        return [str(PROGRAMS / program), *map(str, words)]

    @property
    def publish(self) -> list[str]:
        """The command line of a publication of `tree`."""
        return self.command("publish", self.tree, self.fqrn)

    @property
    def environment(self) -> dict[str, str]:
        """In which our commands work on this server."""
        return {"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(self.prefix), "LC_ALL": "C.UTF-8"}

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
        """Run a command that must succeed; what it said."""
        given = environment or self.environment
        ended = subprocess.run(
            command, env=given, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert ended.returncode == 0, f"{command}: {ended.returncode}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def revision(self) -> int:
        """The newest one, which must read completely: every catalog counts rightly, and every object is its name's."""
        manifest = self.server.manifest()
        names: set[ObjectId] = {manifest.root_catalog}
        with self.server.revision(manifest) as revision:
            check_catalogs(revision)
            for catalog in revision.tree.loaded():
                names |= {ref.id for ref in catalog.nested()}
                for entry, key, _ in catalog.entries():
                    names |= {entry.content} if entry.content else {entry.chunk_id(c) for c in catalog.chunks(key)}
        for name in names | {name for name in (manifest.history, manifest.certificate) if name is not None}:
            stored = (self.server.places.storage / name.path).read_bytes()
            assert ObjectId.of(stored, name.algorithm, name.kind) == name
        return manifest.revision

    def check(self) -> None:
        """What is published is the tree, all documents belong together, and nothing temporary is left anywhere."""
        self.server.check(self.tree)
        self.assert_tidy()

    def assert_tidy(self) -> None:
        places = self.server.places
        assert list((places.storage / "data/txn").iterdir()) == []
        assert list(places.scratch.iterdir()) == []
        left = [path for path in self.prefix.rglob("*") if any(mark in path.name for mark in _TEMPORARY)]
        assert left == []

    def check_with_the_original(self) -> bool:
        """The same by the original's own check, where it is here."""
        if ORIGINAL_CHECK is None:
            return False
        with tempfile.TemporaryFile() as said:
            words = [*shlex.split(ORIGINAL_CHECK), str(self.prefix), self.fqrn]
            code = subprocess.run(words, check=False, stdout=said, stderr=said).returncode
            said.seek(0)
            assert code == 0, said.read().decode()
        return True


def site_on(disk: Disk, dice: random.Random, files: int, largest: int = 3000) -> Site:
    """One that has published its tree once, of so many files of up to so many bytes."""
    found = Site(disk.point / "prefix", dice, files, largest)
    found.run(found.publish)
    found.check()
    disk.sync()
    return found
