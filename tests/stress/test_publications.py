"""Publications that are interrupted at random: the repository reads completely, old or new, and the next one succeeds.

Each attempt is a process that is killed at a random operation or moment, whose machine loses what was not synced, whose
disk is full, whose store fails, or whose clock jumped; now and then a second publisher comes meanwhile. The short form
takes seconds. `SWREPO_STRESS=long` (make stress): 1,000 interruptions. A failure names its seed.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from swrepo.errors import Busy, SwrepoError
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import ObjectId
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.storage import Storage
from tests.publishing import Server, check_catalogs
from tests.spec.test_publish_changed import change
from tests.spec.test_publish_transaction import fill

IS_LONG = os.environ.get("SWREPO_STRESS") == "long"
SEEDS, ATTEMPTS = (20, 50) if IS_LONG else (2, 12)
DAYS = 86_400 * 10**9
FAILED, DIED_OF_A_BUG = 3, 4

pytestmark = pytest.mark.timeout(3600 if IS_LONG else 120)


class Disk:
    """What would be left of the storage if the machine lost its power now."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        self._root = root
        self._dice = dice
        self._names: set[tuple[Path, int]] = set()
        self._contents: set[int] = set()
        self.sync(root)

    def sync(self, _: Path) -> bool:
        """All is durable. (That the real call does it is the kernel's business.)"""
        self._names = {(path, path.stat().st_ino) for path in self._files()}
        self._contents = {inode for _, inode in self._names}
        return True

    def keep(self, document: str) -> None:
        """A document is durable once its writing has returned."""
        path = self._root / document
        self._names.add((path, path.stat().st_ino))

    def lose_power(self) -> None:
        """Names that were not synced may be gone, and contents cut short."""
        for path in self._files():
            inode = path.stat().st_ino
            if (path, inode) in self._names or self._dice.random() < 0.3:
                continue
            if inode in self._contents or self._dice.random() < 0.5:
                path.unlink()
            else:
                os.truncate(path, self._dice.randint(0, path.stat().st_size))

    def _files(self) -> list[Path]:
        return [path for path in self._root.rglob("*") if path.is_file()]


class Trouble:
    """Comes at the n-th operation that changes the storage. One operation at a time."""

    def __init__(self, disk: Disk, at: int, strike: Callable[[], None], *, before: bool) -> None:
        self._disk = disk
        self._left = at
        self._strike = strike
        self._before = before
        self._lock = threading.RLock()

    def guard(self, operation: Any, name: str, *arguments: Any) -> Any:
        with self._lock:
            self._left -= 1
            if self._left < 0 and self._before:
                self._strike()
            result = operation(*arguments)
            if name == "write":
                self._disk.keep(arguments[0])
            if self._left < 0 and not self._before:
                self._strike()
            return result


class Guarded:
    """A store or documents whose changes meet the trouble."""

    def __init__(self, inner: Any, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("put", "flush", "write", "delete"):
            return lambda *arguments: self._trouble.guard(found, name, *arguments)
        return found


class Attempt:
    """A publication in a process of its own that something happens to."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self._server = server
        self._dice = dice
        self._kind = dice.choice(("kill", "kill", "power", "power", "time", "full", "failing", "rival", "none"))
        self._at = dice.randrange(25)
        self._before = dice.random() < 0.5
        self._seconds = dice.random() * 0.3

    def run(self) -> int:
        """The exit code of the process; negative: the signal that it died of."""
        child = os.fork()
        if child == 0:
            self._be_the_child()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _be_the_child(self) -> NoReturn:
        code = DIED_OF_A_BUG
        try:
            if self._kind == "time":
                signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which is to die at once
                signal.setitimer(signal.ITIMER_REAL, self._seconds + 0.001)
            self._server.publisher(open_storage=self._open_storage).publish(self._server.fqrn)
            code = 0
        except SwrepoError:
            code = FAILED
        except BaseException:  # noqa: BLE001 - nothing of the test runner may go on in the child
            traceback.print_exc()
        finally:
            os._exit(code)

    def _open_storage(self, places: RepositoryPlaces) -> Storage:
        disk = Disk(places.storage, self._dice)
        objects = DirectoryObjects(places.storage)
        objects.discard_unfinished()
        trouble = Trouble(disk, self._at, lambda: self._strike(disk, places), before=self._before)
        batch = ObjectBatch(places.storage, objects, disk.sync)
        return Storage(objects, Guarded(batch, trouble), Guarded(objects, trouble))

    def _strike(self, disk: Disk, places: RepositoryPlaces) -> None:
        if self._kind == "power":
            disk.lose_power()
            if self._dice.random() < 0.5 and places.staged.exists():  # it is never synced
                os.truncate(places.staged, self._dice.randint(0, places.staged.stat().st_size))
        if self._kind in ("kill", "power"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._kind == "failing":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._kind == "rival":
            with pytest.raises(Busy):
                self._server.publisher().publish(self._server.fqrn)


def assert_reads_completely(server: Server, manifest: Manifest) -> None:
    """Every catalog counts rightly, and every object that is reached has the bytes of its name."""
    names: set[ObjectId] = set()
    with server.revision(manifest) as revision:
        check_catalogs(revision)
        for catalog in revision.tree.loaded():
            for entry, key, _ in catalog.entries():
                names |= {entry.content} if entry.content else {entry.chunk_id(c) for c in catalog.chunks(key)}
    for name in names:
        stored = (server.places.storage / name.path).read_bytes()
        assert ObjectId.of(stored, name.algorithm, name.kind) == name


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_to_a_publication_the_old_or_the_new_revision_reads_completely(tmp_path, seed):
    dice = random.Random(seed)
    server = Server(tmp_path)
    fill(server.tree)
    server.publish()
    start = server.clock.ns
    codes = set()
    for _ in range(ATTEMPTS):
        for _ in range(dice.randint(1, 8)):
            change(server.tree, dice)
        old = server.manifest()
        server.clock.ns = start + int(dice.uniform(-5, 20) * DAYS)
        codes.add(Attempt(server, dice).run())
        new = server.manifest()
        assert new == old or new.revision == old.revision + 1
        assert_reads_completely(server, new)
        if dice.random() < 0.4:
            server.publish()
            server.check()
    assert DIED_OF_A_BUG not in codes
    assert -signal.SIGKILL in codes
    server.publish()
    server.check()
