"""`swrepo fsck`: everything in the cache is checked, what is wrong goes, what is right stays."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from swrepo.cache.audit import audit
from swrepo.cache.disk import DiskCache
from swrepo.cache.inventory import held
from swrepo.cache.quota import Quota, Room
from swrepo.cli.main import main
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.objects.store import Want
from tests.simulator import RepositorySimulator
from tests.spec.test_cache_disk import LARGE, PLAIN, content, fetches, put


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path, repository: RepositorySimulator) -> DiskCache:
    return DiskCache(root, repository)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("plain", [b"", PLAIN, LARGE], ids=["empty", "small", "large"])
def test_what_is_good_stays(root: Path, cache: DiskCache, repository: RepositorySimulator, plain: bytes) -> None:
    want = put(repository, plain)
    content(cache, want)
    found = audit(root, strict=True)
    assert (found.good, found.unknown, found.size, found.removed) == (1, 0, len(plain), ())
    content(cache, want)
    assert fetches(repository, want) == 1


@pytest.mark.parametrize("plain", [PLAIN, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("damage", ["first", "last", "truncated", "emptied", "longer"])
def test_what_is_damaged_is_removed_and_fetched_again(
    root: Path, cache: DiskCache, repository: RepositorySimulator, plain: bytes, damage: str
) -> None:
    want, other = put(repository, plain), put(repository, b"other")
    content(cache, want)
    content(cache, other)
    path = root / want.id.cache_path
    if damage in ("first", "last"):
        flip(path, 0 if damage == "first" else -1)
    else:
        os.truncate(path, {"truncated": len(plain) - 1, "emptied": 0, "longer": len(plain) + 1}[damage])
    found = audit(root)
    assert found.removed == (want.id.cache_path,)
    assert found.good == 1
    assert not path.exists()
    assert content(cache, want) == plain
    assert fetches(repository, want) == 2


def test_the_sum_is_that_of_the_bytes_that_stayed(root: Path, repository: RepositorySimulator) -> None:
    """A source whose first try fails half-way begins again at the beginning of the file."""

    class SecondTry:
        def fetch(self, want: Want, out: BinaryIO) -> None:
            out.write(b"rubbish" * 100_000)
            out.seek(0)
            out.truncate()
            repository.fetch(want, out)

    cache = DiskCache(root, SecondTry())
    content(cache, put(repository, LARGE))
    assert audit(root, strict=True).good == 1


def planted(root: Path, plain: bytes, stored: bytes, algorithm: Algorithm = Algorithm.SHA1) -> ObjectId:
    """A file as another client left it: nothing is noted on it."""
    found = ObjectId(algorithm, _digest(algorithm, stored))
    path = root / found.cache_path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(plain)
    return found


def _digest(algorithm: Algorithm, stored: bytes) -> bytes:
    hasher = algorithm.hasher()
    hasher.update(stored)
    return hasher.digest()


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("stored", [zlib.compress(PLAIN), PLAIN], ids=["zlib", "uncompressed"])
def test_what_a_client_of_the_original_left_is_checked_by_its_name(
    root: Path, cache: DiskCache, stored: bytes, algorithm: Algorithm
) -> None:
    planted(root, PLAIN, stored, algorithm)
    found = audit(root, strict=True)
    assert (found.good, found.removed) == (1, ())


@pytest.mark.parametrize("plain", [PLAIN, PLAIN[:-1]], ids=["whole", "truncated"])
def test_where_that_tells_nothing_it_is_unknown_and_goes_only_when_asked(
    root: Path, cache: DiskCache, plain: bytes
) -> None:
    unknown = planted(root, plain, zlib.compress(PLAIN, 1))
    found = audit(root)
    assert (found.good, found.unknown, found.removed) == (0, 1, ())
    assert audit(root, strict=True).removed == (unknown.cache_path,)
    assert not list(held(root))


def test_being_checked_is_no_use(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    want = put(repository)
    content(cache, want)
    os.utime(root / want.id.cache_path, (1000, 1000))
    audit(root)
    assert os.stat(root / want.id.cache_path).st_atime == 1000


def test_what_is_removed_does_not_count_any_more(root: Path, repository: RepositorySimulator) -> None:
    quota = Quota(root, 1 << 30, room=lambda _root: Room(1 << 40, 1 << 39), start=lambda work: work())
    cache = DiskCache(root, repository, quota=quota)
    wants = [put(repository, PLAIN + bytes([number])) for number in range(3)]
    for want in wants:
        content(cache, want)
    cache.close()
    before = int((root / "swrepo.usage").read_text())
    flip(root / wants[0].id.cache_path, 0)
    audit(root)
    assert int((root / "swrepo.usage").read_text()) == before - 3 * 4096


def test_all_of_many_are_looked_at(root: Path, cache: DiskCache, repository: RepositorySimulator) -> None:
    wants = [put(repository, b"%d" % number) for number in range(700)]
    for want in wants:
        content(cache, want)
    for want in wants[::7]:
        flip(root / want.id.cache_path, 0)
    seen: list[int] = []
    expected: list[tuple[int, int]] = []
    found = audit(root, expected=lambda *all_of_it: expected.append(all_of_it), seen=seen.append)
    assert expected == [(700, sum(seen))]
    assert found.removed == tuple(sorted(want.id.cache_path for want in wants[::7]))
    assert found.good == 600
    assert len(seen) == 700


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A cache that takes longer to check than it takes until something is said: its files have to be packed for it."""
    root = tmp_path / "slow"
    root.mkdir()
    dice = random.Random(1)
    for _ in range(8):
        planted(root, dice.randbytes(2_000_000), dice.randbytes(8))
    return root


def on_a_terminal(words: list[str]) -> tuple[bytes, int]:
    """All that a command writes to the terminal that it runs on, and its exit code."""
    ours, its = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "swrepo.cli.main", *words], stdin=its, stdout=its, stderr=its, close_fds=True
    )
    os.close(its)
    shown = b""
    with suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:  # EIO: nobody writes any more
        while block := terminal.read(4096):
            shown += block
    return shown, process.wait(60)


class TestCommand:
    def test_it_says_what_it_found(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        want, bad = put(repository), put(repository, LARGE)
        content(cache, want)
        content(cache, bad)
        assert main(["fsck", "--cache", str(root)]) == 0
        assert "2 objects are good, 0 unknown, 0 were removed" in capsys.readouterr().out
        flip(root / bad.id.cache_path, 5)
        assert main(["fsck", "--cache", str(root)]) == 1
        output = capsys.readouterr()
        assert "1 objects are good, 0 unknown, 1 were removed" in output.out
        assert f"removed {root / bad.id.cache_path}" in output.err
        assert main(["fsck", "--cache", str(root), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {
            "cache": str(root),
            "good": 1,
            "unknown": 0,
            "bytes": len(PLAIN),
            "removed": [],
        }

    def test_a_terminal_shows_how_much_is_done_and_is_left_clean(self, slow: Path) -> None:
        shown, code = on_a_terminal(["fsck", "--cache", str(slow), "--jobs", "1"])
        assert code == 0
        line = re.compile(
            rb"\rchecked: \d of 8 objects, \d+\.\d MB of 16\.0 MB  \[#* *\] +\d+%, \d+\.\d MB/s, \d:\d\d left"
        )
        assert line.search(shown), shown
        assert re.search(
            rb"\r +\r[^\r\n]*: 0 objects are good, 8 unknown, 0 were removed; 16\.0 MB in all\r\n\Z", shown
        )

    def test_a_pipe_gets_neither_bar_nor_progress_of_what_is_over_soon(self, slow: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "swrepo.cli.main", "fsck", "--cache", str(slow)], capture_output=True, check=True
        )
        assert b"8 unknown" in done.stdout
        assert done.stderr == b""

    def test_with_json_all_that_is_said_is_json(
        self, root: Path, cache: DiskCache, repository: RepositorySimulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        want = put(repository, LARGE)
        content(cache, want)
        flip(root / want.id.cache_path, 5)
        assert main(["fsck", "--cache", str(root), "--json"]) == 1
        said = capsys.readouterr()
        assert json.loads(said.out)["removed"] == [want.id.cache_path]
        assert all(json.loads(line)["event"] == "progress" for line in said.err.splitlines())

    def test_a_cache_that_is_not_there_is_an_error(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fsck", "--cache", str(root)]) == 2
        assert "there is no cache" in capsys.readouterr().err

    def test_no_jobs_at_all_is_an_error(self, cache: DiskCache, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fsck", "--cache", str(root), "-j", "0"]) == 2
        assert "--jobs" in capsys.readouterr().err
