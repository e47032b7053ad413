"""Profiles in a repository: publications of other directories leave them there, those of the work tree decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.format.profile import Profile, ProfileFile
from swrepo.publish import profiles as making
from swrepo.repository import profiles
from tests.publishing import Server, fast_options


@pytest.fixture
def server(tmp_path: Path) -> Server:
    server = Server(tmp_path / "server", fast_options())
    (server.tree / "prog").write_text("prog")
    made = making.Made(Profile((b"/prog",), (ProfileFile(b"/prog"),), 1), [b"a pack"], {})
    making.write(server.tree, "prog", made)
    server.publish()
    return server


def names(server: Server) -> list[str]:
    with server.revision() as revision:
        return profiles.names(revision)


def test_another_directory_that_is_published_takes_no_profiles_away(server: Server, tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.mkdir()
    for content in ("new", "newer"):
        (built / "prog").write_text(content)
        server.clock.ns += 3600 * 10**9
        outcome = server.publisher().publish(server.fqrn, built)
        assert outcome.removed == 0
        assert names(server) == ["prog"]
        with server.revision() as revision:
            assert profiles.triggers(revision) == {b"/prog": ("prog",)}


def test_what_is_taken_out_of_the_work_tree_is_gone(server: Server) -> None:
    making.remove(server.tree, "prog")
    server.publish()
    assert names(server) == []
