"""Many programs read while one revision after another appears: every byte and name is that of one revision.

The short form takes seconds. `SWREPO_STRESS=long` (make stress): 50 programs and 100 revisions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mount.mounted import Mount, mounted
from tests.mount.test_killed_worker import DIED, kill
from tests.publishing import Server
from tests.stress import content
from tests.stress.clock import Clock

IS_LONG = os.environ.get("SWREPO_STRESS") == "long"
READERS, REVISIONS = (50, 100) if IS_LONG else (5, 5)
READER = Path(__file__).with_name("reader.py")

pytestmark = [pytest.mark.mount, pytest.mark.timeout(1800 if IS_LONG else 120)]


@dataclass
class Stage:
    """A repository under change, its mount, and what the readers need to know."""

    server: Server
    mount: Mount
    clock: Clock
    clock_file: Path

    def next_revision(self, number: int) -> None:
        """Publish and show it; in between, both it and the one before may be seen."""
        content.write(os.fsencode(self.server.tree), number)
        self.clock.begun = number
        self.server.publish()
        assert "follows" in self.mount.ask("remount sync")
        self.clock.shown = number

    @contextmanager
    def readers(self, count: int) -> Iterator[list[subprocess.Popen]]:
        command = [sys.executable, str(READER), str(self.mount.point), str(self.clock_file)]
        found = [
            subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for seed in range(count)
        ]
        try:
            for reader in found:
                assert reader.stdout is not None
                assert reader.stdout.readline() == "ready\n", reader.communicate()[1]
            yield found
        finally:
            self.clock.end()
            for reader in found:
                if reader.poll() is None:
                    reader.kill()
                reader.communicate()


@contextmanager
def stage(directory: Path, **request) -> Iterator[Stage]:
    server = Server(directory)
    content.write(os.fsencode(server.tree), 0)
    server.publish()
    given = {
        "urls": [server.places.storage.as_uri()],
        "keys": [str(server.places.keys.public)],
        "clock": server.now().isoformat(),
        **request,
    }
    with mounted(directory / "client", **given) as mount:
        clock_file = directory / "clock"
        yield Stage(server, mount, Clock(clock_file, create=True), clock_file)


def run(stage: Stage, meanwhile: Callable[[int], object] = lambda _revision: None) -> Counter[str]:
    """Revisions come while readers read; what the readers did, all in all."""
    with stage.readers(READERS) as readers:
        for revision in range(1, REVISIONS + 1):
            stage.next_revision(revision)
            meanwhile(revision)
        stage.clock.end()
        ended = [reader.communicate(timeout=300) for reader in readers]
    assert [complaint for _, complaint in ended if complaint] == []
    done: Counter[str] = Counter()
    for shown, _ in ended:
        done.update(json.loads(shown))
    assert all(done[action] for action in ("read_whole", "read_mapping", "list_big", "listings that were held"))
    return done


def test_every_byte_and_every_listing_is_of_one_revision(tmp_path: Path) -> None:
    with stage(tmp_path) as found:
        run(found)


def test_the_same_while_the_cache_holds_hardly_anything(tmp_path: Path) -> None:
    with stage(tmp_path, quota=300_000) as found:
        run(found)
        assert found.mount.counters()["cache evicted"] > 0


@pytest.mark.skipif(not IS_LONG, reason="disturbs the whole machine, for a minute: only in the long form")
@pytest.mark.skipif(not os.access("/proc/sys/vm/drop_caches", os.W_OK), reason="dropping the kernel's caches is root's")
def test_the_same_while_the_kernel_forgets_what_it_had(tmp_path: Path) -> None:
    def forget(_revision: int) -> None:
        Path("/proc/sys/vm/drop_caches").write_text("3")

    with stage(tmp_path) as found:
        run(found, forget)


def test_the_same_while_the_worker_is_killed_again_and_again(tmp_path: Path) -> None:
    with stage(tmp_path, expected=DIED) as found:
        run(found, lambda revision: kill(found.mount) if revision % 3 == 1 else None)
