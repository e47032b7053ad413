"""Bundles of CernVM-FS 2.14: a publication flags the files beside which one lies, for its clients look at the flag."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swrepo.format.dirent import Flag
from swrepo.repository.walk import walk
from tests.publishing import Server, fast_options


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server", fast_options())


def write(server: Server, *names: str) -> None:
    for name in names:
        path = server.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def flagged(server: Server) -> list[bytes]:
    server.check()
    with server.revision() as revision:
        return [path for path, entry in walk(revision) if entry.flags & Flag.BUNDLE_TRIGGER]


def test_a_file_beside_its_bundle_is_flagged_and_no_other(server: Server) -> None:
    write(
        server, "lib/a.so", "lib/b.so", "lib/.cvmfsbundle-a.so", "bin/a.so", "lib/.cvmfsbundle-gone", ".cvmfsbundle-top"
    )
    write(server, "nested/.cvmfscatalog", "nested/tool", "nested/.cvmfsbundle-tool", "top", "nested/top")
    server.publish()
    assert flagged(server) == [b"/lib/a.so", b"/nested/tool", b"/top"]


def test_the_flag_comes_and_goes_with_the_bundle_alone(server: Server) -> None:
    write(server, "lib/a", "lib/b")
    server.publish()
    assert flagged(server) == []
    write(server, "lib/.cvmfsbundle-a")
    server.publish()
    assert flagged(server) == [b"/lib/a"]
    (server.tree / "lib/.cvmfsbundle-a").unlink()
    server.publish()
    assert flagged(server) == []


def test_the_flag_stays_when_the_file_changes_and_when_others_do(server: Server) -> None:
    write(server, "lib/a", "lib/.cvmfsbundle-a")
    server.publish()
    for change in ("lib/a", "lib/other"):
        (server.tree / change).write_text("changed, and longer than before")
        server.publish()
        assert flagged(server) == [b"/lib/a"]
    assert not server.publish().published, "a flag is no change"


def test_only_files_are_triggers_and_only_files_are_bundles(server: Server) -> None:
    (server.tree / "lib").mkdir()
    write(server, "lib/directory/x", "lib/.cvmfsbundle-directory", "lib/.cvmfsbundle-link", "lib/file")
    (server.tree / "lib/link").symlink_to("file")
    (server.tree / "lib/.cvmfsbundle-file").mkdir()
    os.mkfifo(server.tree / "lib/fifo")
    write(server, "lib/.cvmfsbundle-fifo")
    server.publish()
    assert flagged(server) == []


def test_names_of_any_bytes_are_told_apart(server: Server) -> None:
    names = [b"\xff\xfe.so", b"a'b", "\N{LATIN SMALL LETTER A WITH DIAERESIS}".encode()]
    for name in names:
        for file in (name, b".cvmfsbundle-" + name):
            Path(os.fsdecode(os.path.join(os.fsencode(server.tree), file))).write_bytes(name)
    server.publish()
    assert sorted(flagged(server)) == sorted(b"/" + name for name in names)
