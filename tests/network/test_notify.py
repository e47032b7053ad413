"""`cvmfs_swissknife notify`: what it sends is what is published, and it prints only what its owner signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swrepo.cli import cvmfs_swissknife
from swrepo.cli.main import main
from swrepo.format.announcement import Announcement
from swrepo.web.serve import serving
from tests.announcer import announcing
from tests.network.test_serve_announcements import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path)
    found.simulator.sign_whitelist(expires=datetime.now(UTC) + timedelta(days=30))  # programs go by the real clock
    found.publish()
    (tmp_path / "key.pub").write_bytes(b"".join(key.pem for key in found.simulator.anchors.keys))
    return found


def test_what_is_published_is_announced(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    with announcing() as announcer, serving([repository.directory]) as url:
        for place in (str(repository.directory / repository.fqrn), f"{url}/{repository.fqrn}"):
            assert cvmfs_swissknife.main(["notify", "-p", "-u", announcer.url, "-r", place]) == 0
            assert "announced revision 3 of " in capsys.readouterr().out
        for message in announcer.published:
            assert (message.fqrn, message.manifest) == (repository.fqrn, repository.manifest.read_bytes())
        assert len(announcer.published) == 2


def test_where_nobody_takes_it_there_is_an_error(
    repository: Repository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["server", "notify", "-p", "-r", str(repository.directory / repository.fqrn), "-u"]
    with serving([repository.directory]) as url:
        assert main([*words, url.removesuffix("/cvmfs") + "/api/v1"]) != 0
    assert "HTTP status 405" in capsys.readouterr().err
    assert main(["server", "notify", "-p", "-u", "http://127.0.0.1:1", "-r", str(tmp_path / "nothing")]) == 5
    assert main(["server", "notify", "-p", "-u", "http://127.0.0.1:1"]) == 2
    assert main(["server", "notify", "-s", "-u", "http://127.0.0.1:1"]) == 2


def test_what_cannot_be_believed_is_not_printed_as_a_revision(
    repository: Repository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = repository.manifest.read_bytes()
    genuine = repository.publish()
    with announcing() as announcer:
        forged = genuine.replace(b"\nS4\n", b"\nS9\n")
        words = ["server", "notify", "-s", "-u", announcer.url, "-t", str(repository.directory / repository.fqrn)]
        words += ["--key", str(tmp_path / "key.pub"), "--cache", str(tmp_path / "cache"), "-m", "3"]
        announcer.remember(*(Announcement(repository.fqrn, signed).encode() for signed in (forged, first, genuine)))
        assert main(words) == 0
    said = capsys.readouterr()
    assert said.out == f"repository {repository.fqrn} is now at revision 4.\n"
    assert "the hash does not match" in said.err or "altered" in said.err
