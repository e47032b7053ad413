"""Reading a cold tree in order: files and chunks are fetched before they are asked for, and few that nobody wants."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.objects import codec
from tests.golden import golden
from tests.mount.mounted import Mount, mounted, repository, wait_until
from tests.mount.test_reading import Server, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

FILES, DIRECTORIES = 20, 15
PIECE = 25 * 4096
PIECES = 30
GUESSED_FROM = 4
"""The file of a directory from which on it is clear, over the shortest link, too, that all are going to be read."""
LARGE = b"".join(b"%08d" % number * (PIECE // 8) for number in range(PIECES))


def name(directory: int, file: int) -> bytes:
    return b"/tree/d%02d/f%02d" % (directory, file)


def body(directory: int, file: int) -> bytes:
    return b"%d of %d, " % (file, directory) * 300


def tree() -> dict:
    files = {
        name(directory, file): File(content=body(directory, file))
        for directory in range(DIRECTORIES)
        for file in range(FILES)
    }
    return {**files, b"/large": File(content=LARGE, chunk_size=PIECE)}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    found.publish(tree(), (b"/tree/d03", b"/tree/d07"))
    return found


def over_network(served: Served, server: Server, tmp_path: Path) -> dict:  # noqa: F811
    fqrn = served.simulator.fqrn
    (tmp_path / "www" / fqrn).symlink_to(served.directory / fqrn)
    return {**served.request(), "urls": [f"{server.url}/{fqrn}"]}


def stored_as(served: Served, content: bytes) -> str:
    """The path of a file's object on the server."""
    return ObjectId.of(codec.encode(content, Compression.ZLIB), served.simulator.algorithm).path


def check_tree(mount: Mount) -> None:
    for directory in range(DIRECTORIES):
        for file in range(FILES):
            assert (mount.point / name(directory, file).decode()[1:]).read_bytes() == body(directory, file)


def test_tar_of_a_cold_tree_finds_most_files_fetched_and_none_in_vain(served: Served, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        subprocess.run(["tar", "-C", mount.point, "-cf", tmp_path / "all.tar", "tree"], check=True)
        counters = mount.counters()
        assert counters["ahead fetched"] == counters["ahead used"]
        assert counters["ahead used"] > 0.9 * FILES * DIRECTORIES
        assert counters["cache fetched"] <= FILES * DIRECTORIES + 8, "files, catalogs and what they are trusted by"
        check_tree(mount)


def test_each_object_travels_once_over_http_whoever_asks_first(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **over_network(served, server, tmp_path)) as mount:
        command = f"find '{mount.point}/tree' -type f -print0 | xargs -0 -P 4 -n 10 cat"
        read = subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout
        assert len(read) == sum(len(body(d, f)) for d in range(DIRECTORIES) for f in range(FILES))
        check_tree(mount)
    objects = [path for path in server.requests if "/data/" in path]
    assert sorted(objects) == sorted(set(objects))


def test_files_are_asked_for_over_http_before_they_are_opened(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    """However fast the reader is, compared with who fetches ahead: it waits for each of them to be asked for."""
    guessed = range(GUESSED_FROM, FILES)
    with mounted(tmp_path, **over_network(served, server, tmp_path)) as mount:
        for directory in range(DIRECTORIES):
            for file in range(FILES):
                target = f"/{served.simulator.fqrn}/{stored_as(served, body(directory, file))}"
                if file in guessed:
                    wait_until(lambda: target in server.requests)  # noqa: B023 - used at once
                path = mount.point / name(directory, file).decode()[1:]
                assert path.read_bytes() == body(directory, file)
        counters = mount.counters()
    assert counters["ahead used"] >= len(guessed) * DIRECTORIES
    objects = [path for path in server.requests if "/data/" in path]
    assert sorted(objects) == sorted(set(objects))


def test_reading_here_and_there_fetches_a_few_in_vain(served: Served, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        for directory in range(DIRECTORIES):
            for file in (3, 4, 5):
                (mount.point / name(directory, file).decode()[1:]).read_bytes()
        counters = mount.counters()
        assert counters["ahead fetched"] - counters["ahead used"] <= 0.3 * 3 * DIRECTORIES + 16


def test_a_server_that_dies_while_files_are_fetched_ahead_harms_only_what_is_not_here(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    expected = ("failed", "Unreachable", "EIO")
    with mounted(tmp_path, expected=expected, **over_network(served, server, tmp_path)) as mount:
        for file in range(10):
            (mount.point / name(0, file).decode()[1:]).read_bytes()
        server.down = True
        for file in range(10):
            assert (mount.point / name(0, file).decode()[1:]).read_bytes() == body(0, file)
        with pytest.raises(OSError):
            check_tree(mount)
        server.down = False

        def is_well() -> bool:
            try:
                check_tree(mount)
            except OSError:
                return False
            return True

        wait_until(is_well, 60)


def test_chunks_are_fetched_before_they_are_read(served: Served, server: Server, tmp_path: Path) -> None:  # noqa: F811
    with mounted(tmp_path, **over_network(served, server, tmp_path)) as mount:
        server.requests.clear()
        with open(mount.point / "large", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # the kernel is not to read ahead by itself
            for piece in range(4):
                os.pread(file.fileno(), 10, piece * PIECE)
            wait_until(lambda: len(server.requests) >= 8)
            assert len(server.requests) <= 8, "four that were read, and four ahead"
            assert file.read() == LARGE
        assert len(server.requests) == len(set(server.requests)) == PIECES


def test_random_reads_of_a_chunked_file_fetch_only_what_they_touch(
    served: Served,
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **over_network(served, server, tmp_path)) as mount:
        server.requests.clear()
        with open(mount.point / "large", "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for piece in (20, 3, 11, 27, 8):
                found = os.pread(file.fileno(), 4096, piece * PIECE + 1000)
                assert found == LARGE[piece * PIECE + 1000 :][:4096]
        catalogs = [path for path in server.requests if path.endswith("C")]
        assert len(server.requests) - len(catalogs) == 5
        assert len(set(catalogs)) == len(catalogs), "where the link seems long, those below the root come once"


def test_a_full_cache_is_read_without_fetching_ahead(tmp_path: Path) -> None:
    repo = golden("nested")
    for _ in range(2):
        with mounted(tmp_path, **repository(repo)) as mount:
            subprocess.run(f"find '{mount.point}' -type f -print0 | xargs -0 cat > /dev/null", shell=True, check=True)
            counters = mount.counters()
    assert counters["ahead fetched"] == 0
    assert counters["cache fetched"] <= 3, "manifest, whitelist and the like"
