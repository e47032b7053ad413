"""`swrepo prefetch`: a directory of a repository comes into the cache, or it is said why not."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.cli.main import main
from swrepo.errors import CacheFull, PathNotFound, Unreachable
from tests.faults import Exchange, FaultServer, held, on_objects, refusing, status, truth
from tests.golden import Golden, golden

FILES = 200
"""Below /flat; no two have the same bytes."""


@pytest.fixture
def repo() -> Golden:
    return golden("nested")


@pytest.fixture
def server(repo: Golden) -> Iterator[FaultServer]:
    def look_up(target: str) -> bytes | None:
        path = repo.served / target.removeprefix(f"/cvmfs/{repo.fqrn}/")
        return path.read_bytes() if path.is_file() else None

    with FaultServer(look_up) as found:
        yield found


@pytest.fixture
def words(repo: Golden, server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A configuration of our own, a cache of our own, and the options that every command here has."""
    etc = tmp_path / "prefix" / "etc" / "cvmfs"
    etc.mkdir(parents=True)
    (etc / "default.local").write_text("CVMFS_MAX_RETRIES=0\nCVMFS_TIMEOUT_DIRECT=60\n")
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "prefix"))
    return ["--key", str(repo.public_key), "--cache", str(tmp_path / "cache")]


def limit(tmp_path: Path, megabytes: int) -> None:
    with (tmp_path / "prefix/etc/cvmfs/default.local").open("a") as file:
        file.write(f"CVMFS_QUOTA_LIMIT={megabytes}\n")


def url(server: FaultServer, repo: Golden, path: str = "") -> str:
    return f"{server.url}/cvmfs/{repo.fqrn}{path}"


def objects(server: FaultServer) -> list[str]:
    return [asked.target for asked in server.requests if "/data/" in asked.target]


def report(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["prefetch", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_directory_comes_once_and_nothing_beside_it(
    repo: Golden, server: FaultServer, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = [url(server, repo, "//flat"), *words]
    first = report(directory, capsys)
    assert first["path"] == "/flat"
    assert FILES <= first["fetched_objects"] <= FILES + 10, "with catalogs, and what they are trusted by"
    assert len(objects(server)) == len(set(objects(server))) < FILES + 10
    before = len(objects(server))
    second = report(directory, capsys)
    assert (second["fetched_objects"], second["objects"]) == (0, first["objects"])
    assert len(objects(server)) == before
    assert main(["prefetch", *directory]) == 0
    assert "0 of them, 0 bytes, were fetched now" in capsys.readouterr().out.replace("0 B", "0 bytes")


def test_what_it_brought_is_read_without_a_server(
    repo: Golden, server: FaultServer, words: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["prefetch", url(server, repo, "//edge"), *words]) == 0
    before = len(objects(server))
    capsysbinary.readouterr()
    assert main(["ls", url(server, repo, "//edge"), *words]) == 0
    assert len(objects(server)) == before


def test_a_path_that_is_not_there_is_told(
    repo: Golden, server: FaultServer, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prefetch", url(server, repo, "//no/such"), *words]) == PathNotFound.exit_code
    assert "/no/such" in capsys.readouterr().err


def test_no_server_is_told(repo: Golden, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with refusing() as nobody:
        assert main(["prefetch", f"{nobody}/cvmfs/{repo.fqrn}", *words]) == Unreachable.exit_code
    assert nobody in capsys.readouterr().err


def test_no_jobs_are_a_wrong_use(repo: Golden, server: FaultServer, words: list[str]) -> None:
    assert main(["prefetch", url(server, repo), *words, "--jobs", "0"]) == 2
    assert server.requests == []


def test_what_cannot_fit_is_refused_before_anything_is_fetched(
    repo: Golden, server: FaultServer, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit(tmp_path, 1)
    assert main(["prefetch", url(server, repo, "//sw"), *words]) == CacheFull.exit_code
    said = capsys.readouterr().err
    assert "CVMFS_QUOTA_LIMIT" in said
    assert "may take 1" in said
    catalogs = [path for path in objects(server) if path.endswith("C")]
    assert len(objects(server)) - len(catalogs) <= 2, "catalogs and the certificate, and no file"
    assert main(["prefetch", url(server, repo, "//edge"), *words]) == 0, "a smaller part still comes"


def test_what_fails_is_told_and_the_next_run_fetches_that_alone(
    repo: Golden, server: FaultServer, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = [url(server, repo, "//flat"), *words]
    report([url(server, repo, "//edge"), *words], capsys)  # catalogs are here now
    server.always(on_objects(refused_now_and_then))
    assert main(["prefetch", *directory]) != 0
    assert "swrepo prefetch: " in capsys.readouterr().err
    server.always(None)
    missing = report(directory, capsys)["fetched_objects"]
    assert 0 < missing < FILES


def refused_now_and_then(exchange: Exchange) -> None:
    (status(404) if exchange.asked.target[-1] in "0123" else truth)(exchange)


def start(arguments: list[str], errors: int) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", "import sys; from swrepo.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    return subprocess.Popen([*program, "prefetch", *arguments], stdout=subprocess.PIPE, stderr=errors)


def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(
    repo: Golden, server: FaultServer, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    directory = [url(server, repo, "//flat"), *words]
    report([url(server, repo, "//edge"), *words], capsys)  # catalogs are here now
    answered, go = threading.Semaphore(100), threading.Event()

    def some(exchange: Exchange) -> None:
        if not answered.acquire(blocking=False):
            held(go)(exchange)
            return
        truth(exchange)

    server.requests.clear()
    server.always(on_objects(some))
    process = start(directory, subprocess.PIPE)
    pause = threading.Event()
    while len(objects(server)) < 101:
        assert process.poll() is None
        pause.wait(0.01)
    process.send_signal(signal.SIGINT)
    pause.wait(1.0)  # nothing tells that it has heard of it
    go.set()  # what is under way may come; nothing more is asked for
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert len(objects(server)) < FILES
    server.always(None)
    left = report(directory, capsys)["fetched_objects"]
    assert 0 < left <= FILES - 36, "of the 100 that were answered, 64 may have been under way"


def test_a_terminal_sees_how_far_it_is(repo: Golden, server: FaultServer, words: list[str]) -> None:
    pause = threading.Event()

    def slow(exchange: Exchange) -> None:
        pause.wait(0.01)
        truth(exchange)

    server.always(slow)
    ours, theirs = pty.openpty()
    process = start([url(server, repo, "//flat"), *words, "--jobs", "1"], theirs)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:  # how the end of a terminal shows
        pass
    os.close(ours)
    assert process.wait(60) == 0
    process.communicate()
    assert b"prefetched: " in seen
    assert b"[#" in seen
    assert b"%" in seen
