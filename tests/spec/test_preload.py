"""`swrepo preload`: a cache is filled before it is used; afterwards no server is needed, and nothing is believed unchecked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from swrepo.cache.audit import audit
from swrepo.cache.inventory import held
from swrepo.cache.plan import CachePlan, DirectoryPlan, TieredPlan, Use
from swrepo.cli.main import main
from swrepo.client.access import Access
from swrepo.client.parts import EVERYTHING, Parts
from swrepo.client.preload import Preloaded, preload
from swrepo.client.request import AccessRequest
from swrepo.errors import (
    CacheFull,
    FormatError,
    ObjectNotFound,
    Rollback,
    Unreachable,
    UntrustedSignature,
)
from swrepo.repository.walk import walk
from tests.conftest import ExpectedWarnings
from tests.faults import Exchange, FaultServer, refusing, status, truth
from tests.golden import CLOCK, Golden, golden

EDGE = Parts.parse([b"/edge"])
FLAT = Parts.parse([b"/flat"])
NOTES = ("cvmfschecksum.", "cvmfspublished.", "cvmfswhitelist.")


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@pytest.fixture
def repo() -> Golden:
    return golden("nested")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Every golden repository, at `url/cvmfs/FQRN`."""

    def look_up(target: str) -> bytes | None:
        fqrn, _, name = target.removeprefix("/cvmfs/").partition("/")
        return read(golden(fqrn.split(".")[0].removeprefix("golden-")).served / name)

    with FaultServer(look_up) as found:
        yield found


@pytest.fixture
def nobody() -> Iterator[str]:
    with refusing() as url:
        yield url


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "preloaded"


def request(repo: Golden, url: str, cache: Path, caches: CachePlan | None = None, **changes: object) -> AccessRequest:
    given = AccessRequest(
        urls=(f"{url}/cvmfs/{repo.fqrn}",),
        keys=(repo.public_key,),
        cache=cache,
        fqrn=repo.fqrn,
        max_retries=0,
        clock=lambda: CLOCK,
        caches=caches,
    )
    return dataclasses.replace(given, **changes)


def fill(repo: Golden, url: str, root: Path, parts: Parts = EVERYTHING, **changes: object) -> Preloaded:
    plan = DirectoryPlan(root, Use.FILL)
    with Access(request(repo, url, root, plan, remember=False, **changes)) as access:
        return preload(access, parts, jobs=8)


def read_all(access: Access, below: bytes = b"") -> int:
    """Read every file; how many."""
    count = 0
    for path, entry in walk(access.revision, below):
        if entry.is_regular:
            with access.revision.content(path) as content:
                assert sum(map(len, content.blocks())) == entry.size
            count += 1
    return count


def test_everything_is_brought_once_and_a_second_run_brings_nothing(
    repo: Golden, server: FaultServer, root: Path
) -> None:
    done = fill(repo, server.url, root)
    objects = {path.relative_to(repo.served) for path in repo.served.glob("data/*/*") if path.is_file()}
    assert done.errors == []
    assert done.entries == len(repo.rows)
    assert done.fetched == done.objects == len(list(held(root)))
    assert done.objects <= len(objects)
    asked = [asked.target for asked in server.requests if "/data/" in asked.target]
    assert len(asked) == len(set(asked))
    server.requests.clear()
    again = fill(repo, server.url, root)
    assert (again.objects, again.size, again.fetched) == (done.objects, done.size, 0)
    assert not [asked for asked in server.requests if "/data/" in asked.target]
    found = audit(root)
    assert (found.good, found.removed) == (done.objects, ())


def test_afterwards_no_server_is_needed(
    repo: Golden, server: FaultServer, nobody: str, root: Path, expected_warnings: ExpectedWarnings
) -> None:
    fill(repo, server.url, root)
    expected_warnings("showing what was preloaded")
    before = {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))}
    with Access(request(repo, nobody, root)) as access:
        assert access.revision.number == 2
        assert read_all(access) == sum(row.type == "f" for row in repo.rows)
        assert access.cache.counters.fetched == 0
    assert {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))} == before


def test_only_the_parts_that_are_asked_for(
    repo: Golden, server: FaultServer, nobody: str, root: Path, expected_warnings: ExpectedWarnings
) -> None:
    parts = Parts.parse([b"# what we need", b"", b"/sw/pkg0[01]", b"! /sw/*/[a-m]*", b"/no/such"])
    done = fill(repo, server.url, root, parts)
    wanted = [row for row in repo.rows if parts.takes(row.path)]
    assert 0 < done.entries == len(wanted) < len(repo.rows)
    assert parts.unmet == [b"/no/such"]
    expected_warnings("showing what was preloaded")
    with Access(request(repo, nobody, root)) as access:
        for row in wanted:
            if row.type == "f":
                with access.revision.content(row.path) as content:
                    content.pread(0, 1)
        other = next(row for row in repo.rows if row.type == "f" and row.size and row.path.startswith(b"/flat"))
        with pytest.raises(Unreachable):
            access.revision.content(other.path).pread(0, 1)


def test_catalogs_of_other_parts_are_not_even_fetched(repo: Golden, server: FaultServer, root: Path) -> None:
    fill(repo, server.url, root, EDGE)
    every = len(list(repo.served.glob("data/*/*C")))
    assert 2 <= sum(asked.target.endswith("C") for asked in server.requests) < every / 2


def test_what_fails_is_told_and_the_rest_is_brought(repo: Golden, server: FaultServer, nobody: str, root: Path) -> None:
    with Access(request(repo, server.url, root.with_name("other"))) as access:
        name = next(row.path for row in repo.rows if row.type == "f" and row.size and row.path.startswith(b"/flat/"))
        want = access.revision.content(name).wants()[0]
    server.next(f"/cvmfs/{repo.fqrn}/{want.id.path}", status(404), status(404))  # with others, and alone
    done = fill(repo, server.url, root, FLAT)
    assert [type(error) for error in done.errors] == [ObjectNotFound]
    assert done.objects == len(list(held(root))) > 100
    assert not any(path.name.startswith(NOTES) for path in root.iterdir()), (
        "what is not whole does not vouch for itself"
    )
    with pytest.raises(Unreachable):
        Access(request(repo, nobody, root))
    again = fill(repo, server.url, root, FLAT)
    assert (again.errors, again.fetched) == ([], 1)
    assert {path.name for path in root.iterdir() if path.name.startswith(NOTES)} == {note + repo.fqrn for note in NOTES}


def test_a_server_that_goes_away_ends_it_soon(repo: Golden, server: FaultServer, root: Path) -> None:
    calls = iter(range(10**9))

    def for_a_while(exchange: Exchange) -> None:
        (truth if next(calls) < 60 else status(500))(exchange)

    server.always(for_a_while)
    done = fill(repo, server.url, root, FLAT)
    assert 1 <= len(done.errors) < 1000
    server.always(None)
    assert fill(repo, server.url, root, FLAT).errors == []


def test_a_newer_revision_is_remembered_when_all_of_it_is_there(server: FaultServer, root: Path) -> None:
    """A run that was cut off leaves what was there before as it was."""
    repo = golden("history")
    before = repo.served_before("rollback").parent
    with FaultServer(lambda target: read(before / target.removeprefix("/cvmfs/"))) as earlier:
        assert fill(repo, earlier.url, root).errors == []
    note = root / f"cvmfschecksum.{repo.fqrn}"
    first = note.read_text()
    with Access(request(repo, server.url, root, DirectoryPlan(root, Use.FILL), remember=False)) as access:
        assert access.revision.number == 11
        assert note.read_text() == first, "nothing is remembered before it is all there"
        preload(access)
        assert note.read_text().startswith(access.revision.root.text)


def test_a_tag_is_preloaded_and_shown_without_a_server(
    server: FaultServer, nobody: str, root: Path, expected_warnings: ExpectedWarnings
) -> None:
    repo = golden("history")
    with Access(request(repo, server.url, root.with_name("other"))) as access:
        newest = access.revision.root
        assert access.manifest is not None
    tag = next(tag for tag in sorted(path.stem for path in (repo.path / "tags").glob("*.tsv")))
    fill(repo, server.url, root, tag=tag)
    expected_warnings("showing what was preloaded")
    with Access(request(repo, nobody, root, tag=tag)) as access:
        assert access.revision.root != newest
        assert read_all(access) == sum(row.type == "f" for row in repo.tag_rows(tag))


# What is trusted without a server


def test_a_master_key_that_is_not_configured_any_more_is_no_longer_enough(
    repo: Golden, server: FaultServer, nobody: str, root: Path
) -> None:
    fill(repo, server.url, root, EDGE)
    with pytest.raises(UntrustedSignature):
        Access(request(repo, nobody, root, keys=(golden("basic").public_key,)))


def test_a_manifest_that_was_altered_is_refused(repo: Golden, server: FaultServer, nobody: str, root: Path) -> None:
    fill(repo, server.url, root, EDGE)
    path = root / f"cvmfspublished.{repo.fqrn}"
    path.write_bytes(path.read_bytes().replace(b"\nS2\n", b"\nS3\n"))
    with pytest.raises((FormatError, Exception)) as raised:
        Access(request(repo, nobody, root))
    assert "manifest" in str(raised.value)


def test_a_whitelist_that_expired_meanwhile_is_still_good_enough_and_said(
    repo: Golden, server: FaultServer, nobody: str, root: Path, expected_warnings: ExpectedWarnings
) -> None:
    fill(repo, server.url, root, EDGE)
    expected_warnings("expired", "showing what was preloaded")
    with Access(request(repo, nobody, root, clock=lambda: CLOCK + timedelta(days=8000))) as access:
        assert access.revision.number == 2


def test_nothing_older_than_what_was_seen_is_shown(
    repo: Golden, server: FaultServer, nobody: str, root: Path, tmp_path: Path
) -> None:
    fill(repo, server.url, root, EDGE)
    workspace = tmp_path / "work"
    workspace.mkdir()
    (workspace / f"cvmfschecksum.{repo.fqrn}").write_text(f"{'a' * 40}T2000000000R9")
    with pytest.raises(Unreachable):
        Access(request(repo, nobody, workspace, DirectoryPlan(root, Use.READ)))
    with pytest.raises(Rollback):
        Access(request(repo, server.url, workspace, DirectoryPlan(root, Use.READ)))


def test_a_directory_that_the_original_filled_is_believed_by_its_breadcrumb(
    repo: Golden, server: FaultServer, nobody: str, root: Path, expected_warnings: ExpectedWarnings
) -> None:
    fill(repo, server.url, root, EDGE)
    for note in NOTES[1:]:
        (root / (note + repo.fqrn)).unlink()
    expected_warnings("showing revision 2 from the cache")
    with Access(request(repo, nobody, root)) as access:
        assert access.revision.number == 2


def test_it_serves_as_the_lower_of_two_tiers(
    repo: Golden, server: FaultServer, root: Path, tmp_path: Path, nobody: str, expected_warnings: ExpectedWarnings
) -> None:
    fill(repo, server.url, root, EDGE)
    plan = TieredPlan(DirectoryPlan(tmp_path / "upper"), DirectoryPlan(root, Use.READ), fills=False)
    expected_warnings("showing what was preloaded")
    with Access(request(repo, nobody, tmp_path / "upper", plan)) as access:
        assert read_all(access, b"/edge") > 0
        assert access.cache.counters.fetched == 0
    assert list(held(tmp_path / "upper"))


def test_no_room_ends_it_with_what_to_do(repo: Golden, server: FaultServer, root: Path) -> None:
    plan = DirectoryPlan(root, quota=1 << 20)
    with Access(request(repo, server.url, root, plan)) as access, pytest.raises(CacheFull, match="had to go again"):
        preload(access, Parts.parse([b"/sw/pkg00"]))


# The command


def test_the_command(repo: Golden, server: FaultServer, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{server.url}/cvmfs/{repo.fqrn}"
    words = ["preload", url, str(root), "--key", str(repo.public_key), "--path", "/edge"]
    assert main(words) == 0
    assert f"{repo.fqrn}, revision 2: {root} holds" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fetched_objects"] == 0 < report["objects"] == len(list(held(root)))
    assert (report["repository"], report["revision"], report["errors"]) == (repo.fqrn, 2, [])


def test_the_command_tells_a_path_that_is_not_there(
    repo: Golden, server: FaultServer, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = tmp_path / "wanted"
    wanted.write_text("/edge\n/no/such\n")
    url = f"{server.url}/cvmfs/{repo.fqrn}"
    assert main(["preload", url, str(root), "--key", str(repo.public_key), "--list", str(wanted)]) == 4
    assert "matches /no/such" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--list", "/no/such/file"], ["--jobs", "0"], ["--cache", "/tmp"], ["--path", "/../x"]]
)
def test_the_command_refuses_what_makes_no_sense(
    repo: Golden, server: FaultServer, root: Path, more: list[str]
) -> None:
    url = f"{server.url}/cvmfs/{repo.fqrn}"
    assert main(["preload", url, str(root), "--key", str(repo.public_key), *more]) != 0
    assert not root.exists()


# Parts


@pytest.mark.parametrize(
    ("lines", "path", "takes", "leads"),
    [
        ([], b"", True, True),
        ([], b"/a/b", True, True),
        ([b"/a/b"], b"", False, True),
        ([b"/a/b"], b"/a", False, True),
        ([b"/a/b"], b"/a/b", True, True),
        ([b"/a/b"], b"/a/b/c", True, True),
        ([b"/a/b"], b"/a/bc", False, False),
        ([b"/a/*/c"], b"/a/x", False, True),
        ([b"/a/*/c"], b"/a/x/c/d", True, True),
        ([b"/a/*/c"], b"/a/x/y/c", False, False),
        ([b"/a/[0-9]?"], b"/a/12", True, True),
        ([b"/a", b"!/a/b"], b"/a/b/c", False, False),
        ([b"/a", b"! /a/b/"], b"/a/b", False, False),
        ([b"/a", b"!/a/*.o"], b"/a/x.c", True, True),
        ([b"!/a"], b"/b", True, True),
        ([b"!/a"], b"/a/x", False, False),
        ([b"a/"], b"/a/\xff", True, True),
    ],
)
def test_parts(lines: list[bytes], path: bytes, takes: bool, leads: bool) -> None:
    parts = Parts.parse(lines)
    assert (parts.takes(path), parts.leads_to(path)) == (takes, leads)
