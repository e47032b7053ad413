"""Transactions that are interrupted: the repository reads completely, and its owner goes on with the next command.

The short form takes seconds. `SWREPO_STRESS=long` (make stress): some hundred interruptions.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swrepo.fuse.mount import mounted_at, umount
from swrepo.repository.walk import walk
from tests.mount.mounted import require_fuse, require_namespaces, wait_until
from tests.mount.test_enter import Caller
from tests.stress.disk import Disk, disk_in
from tests.stress.site import Site, site_on
from tests.stress.strikes import Striker
from tests.stress.test_commands import IS_LONG, assert_says_what_it_is
from tests.stress.test_publications import assert_reads_completely

ROUNDS = 50 if IS_LONG else 1
STRIKES = ("kill -9", "kill -9", "kill -9", "kill -9 of all", "SIGTERM", "Ctrl-C")

pytestmark = [
    pytest.mark.mount,
    pytest.mark.timeout(3600 if IS_LONG else 120),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks and overlays"),
]

Contents = dict[bytes, bytes]
"""Path -> content, of the files."""


class Transactions:
    """Transactions of one repository, each command of which something may happen to."""

    def __init__(self, site: Site, disk: Disk, dice: random.Random) -> None:
        self.site = site
        self.places = site.server.places
        self.dice = dice
        self.striker = Striker(site.environment, disk, dice, 1.0)
        self.seen: Counter[tuple[str, str, bool]] = Counter()

    def command(self, *words: str) -> list[str]:
        return self.site.command(*words, self.site.fqrn, program="cvmfs_server")

    def struck(self, *words: str) -> None:
        """Run a command that something happens to; whatever that was, the newest revision reads completely."""
        strike = self.dice.choice(STRIKES)
        old = self.site.revision()
        ended = self.striker.kinds[strike](self.command(*words))
        assert_says_what_it_is(ended, strike)
        assert self.site.revision() in (old, old + (words[0] == "publish"))
        self.seen[words[0], strike, ended.code == 0] += 1

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> int:
        ended = subprocess.run(
            self.command(*words), env=self.site.environment, check=False, capture_output=True, text=True, cwd="/"
        )
        assert ended.returncode in codes, f"{words}: {ended.returncode}: {ended.stdout}{ended.stderr}"
        return ended.returncode

    def open(self) -> None:
        """As somebody does whose `transaction` was interrupted: again, and where it is open, its mounts."""
        self.struck("transaction")
        if self.run("transaction", codes=(0, errno.EEXIST)) == errno.EEXIST:
            self.run("mount")
        assert mounted_at(str(self.places.worktree)) == "overlay"

    def write(self) -> Contents:
        """Change some files; what the view shows then."""
        for _ in range(self.dice.randint(1, 150)):
            path = self.places.worktree / f"d{self.dice.randrange(4)}" / f"f{self.dice.randrange(200)}"
            if path.exists() and self.dice.random() < 0.2:
                path.unlink()
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(self.dice.randbytes(self.dice.randrange(2000)))
        return self.shown()

    def publish(self) -> None:
        """As somebody does whose `publish` was interrupted: again, unless it had come to its end."""
        old = self.site.revision()
        self.struck("publish")
        if self.run("publish", codes=(0, errno.EINVAL)) == errno.EINVAL:
            assert self.site.revision() == old + 1
            self.run("mount")

    def abort(self) -> None:
        self.struck("abort", "-f")
        self.run("abort", "-f", codes=(0, errno.EINVAL))
        self.run("mount")

    def shown(self) -> Contents:
        """What the work tree shows."""
        top = os.fsencode(self.places.worktree)
        return {
            (directory + b"/" + name)[len(top) :]: Path(os.fsdecode(directory + b"/" + name)).read_bytes()
            for directory, _, names in os.walk(top)
            for name in names
        }

    def published(self) -> Contents:
        """What clients see."""
        found = {}
        with self.site.server.revision() as revision:
            for path, entry in walk(revision):
                if entry.is_regular:
                    content = revision.content(path)
                    found[path] = content.pread(0, content.size)
                    content.close()
        return found


@contextmanager
def transactions(directory: Path, dice: random.Random) -> Iterator[Transactions]:
    require_fuse()
    with disk_in(directory, dice) as disk:
        site = site_on(disk, dice, files=20)
        found = Transactions(site, disk, dice)
        try:
            yield found
        finally:
            for point in (found.places.worktree, found.places.spool / "rdonly"):
                while mounted_at(str(point)) is not None:
                    umount(str(point), lazy=True)


def test_every_command_of_a_transaction_may_be_interrupted(tmp_path: Path) -> None:
    dice = random.Random(5)
    with transactions(tmp_path, dice) as found:
        for number in range(ROUNDS):
            before = found.published()
            found.open()
            assert found.shown() == before
            wanted = found.write()
            if number % 3 == 2:
                found.abort()
                wanted = before
            else:
                found.publish()
            assert found.published() == wanted
            assert found.shown() == wanted
            assert not found.places.in_transaction.exists()
            found.site.assert_tidy()
            found.site.check_with_the_original()
    print(dict(found.seen))


def test_a_view_in_a_namespace_of_its_own_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    require_namespaces()
    dice = random.Random(6)
    tmp_path.chmod(0o755)
    caller = Caller(tmp_path / "server", is_ordinary=os.geteuid() == 0)
    seen: Counter[bool] = Counter()
    for number in range(ROUNDS):
        names = " ".join(f"f{dice.randrange(300)}" for _ in range(150))
        script = (
            f"cd {caller.place}; for n in {names}; do echo $n {number} >$n; done; cvmfs_server publish {caller.fqrn}"
        )
        old = caller.server.manifest()
        process = caller.start("-t", caller.fqrn, "--", "sh", "-euc", script)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=dice.random() * 3)
        process.kill()
        process.communicate()
        new = caller.server.manifest()
        assert new.revision - old.revision in (0, 1)
        assert_reads_completely(caller.server, new)
        seen[new != old] += 1
        wait_until(lambda: caller.processes() == [])
        caller.run("-t", caller.fqrn, "--", "sh", "-euc", script + "; ls -A >&2")
        with caller.server.revision() as revision, revision.content(f"/{names.split()[0]}".encode()) as content:
            assert content.pread(0, 100) == f"{names.split()[0]} {number}\n".encode()
    caller.left_nothing()
    print(dict(seen))
