"""Catalogs by markers, rules and balance: which there are, which stay, and what the markers look like."""

from __future__ import annotations

import os

import pytest

from swrepo.errors import ConfigError, PublishError
from swrepo.publish.balance import Weights
from tests.publishing import Server, check_catalogs, fast_options


def make(top, files):
    for name in files:
        path = top / name.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def age(server):
    for directory, _, files in os.walk(server.tree):
        for name in (".", *files):
            os.utime(os.path.join(directory, name), (10**9, 10**9), follow_symlinks=False)


def names(server):
    """Mountpoints of all catalogs, which have been checked."""
    with server.revision() as revision:
        return sorted(check_catalogs(revision))[1:]


def markers(server, path):
    with server.revision() as revision:
        return {entry.name for entry in revision.tree.listing(path) if entry.name.startswith(b".cvmfs")}


# Rules


def test_rules_give_catalogs_to_the_directories_that_they_fit(tmp_path):
    server = Server(tmp_path)
    make(server.tree, ["sw/1/f", "sw/2/f", "sw/2.git/f", "sw/2/lib/f", "other/f", "sw/file"])
    (server.tree / ".cvmfsdirtab").write_text("/sw/*\n! *.git\n")
    server.publish()
    assert names(server) == [b"/sw/1", b"/sw/2"]
    assert markers(server, b"/sw/1") == {b".cvmfscatalog"}
    assert not (server.tree / "sw/1/.cvmfscatalog").exists()  # the work tree is left alone
    with server.revision() as revision:
        marker = revision.tree.lookup(b"/sw/1/.cvmfscatalog")
        content = revision.content(b"/sw/1/.cvmfscatalog")
        assert (content.size, content.pread(0, 10)) == (0, b"")
        content.close()
    status = (server.tree / "sw/1").stat()
    assert (marker.uid, marker.mtime) == (status.st_uid, int(status.st_mtime))


def test_rules_change_nothing_where_nothing_changed(tmp_path):
    server = Server(tmp_path)
    make(server.tree, ["sw/1/f", "sw/2/f"])
    (server.tree / ".cvmfsdirtab").write_text("/sw/*\n")
    assert server.publish().published
    assert not server.publish().published
    (server.tree / "sw/1/f").write_text("more")
    assert server.publish().catalogs == 2
    assert names(server) == [b"/sw/1", b"/sw/2"]


def test_rules_that_come_and_go_make_and_dissolve_catalogs(tmp_path):
    server = Server(tmp_path)
    make(server.tree, ["sw/1/f", "sw/1/deep/f", "sw/2/f"])
    server.publish()
    assert names(server) == []
    (server.tree / ".cvmfsdirtab").write_text("/sw/?\n/sw/1/deep\n")
    server.publish()
    assert names(server) == [b"/sw/1", b"/sw/1/deep", b"/sw/2"]
    (server.tree / ".cvmfsdirtab").write_text("/sw/1/deep\n")
    server.publish()
    assert names(server) == [b"/sw/1/deep"]
    assert markers(server, b"/sw/1") == set()
    (server.tree / ".cvmfsdirtab").unlink()
    server.publish()
    assert names(server) == []
    server.check()


def test_a_marker_of_ones_own_is_published_as_the_file_that_it_is(tmp_path):
    server = Server(tmp_path)
    make(server.tree, ["sw/1/.cvmfscatalog"])
    (server.tree / ".cvmfsdirtab").write_text("/sw/*\n")
    server.publish()
    assert list(server.check()) == [b"", b"/sw/1"]
    with server.revision() as revision:
        assert revision.tree.lookup(b"/sw/1/.cvmfscatalog").size > 0


def test_rules_without_meaning_fail_the_publication_and_name_the_line(tmp_path):
    server = Server(tmp_path)
    make(server.tree, ["sw/1/f"])
    (server.tree / ".cvmfsdirtab").write_text("/sw/*\n! /sw/*\n")
    with pytest.raises(PublishError, match=r"/.cvmfsdirtab: line 2: '/sw/\*' is a rule and an exclusion"):
        server.publish()
    assert server.manifest().revision == 1


# Balance


def balanced(tmp_path, most=20, least=6):
    return Server(tmp_path, fast_options(weights=Weights(most, least)))


def grow(server, directory, count, prefix="f"):
    make(server.tree, [f"{directory}/{prefix}{number:03}" for number in range(count)])


def test_a_catalog_that_grows_too_large_is_cut_at_its_heaviest_directories(tmp_path):
    server = balanced(tmp_path)
    grow(server, "large", 15)
    grow(server, "medium", 8)
    grow(server, "small", 2)
    outcome = server.publish()
    assert names(server) == [b"/large", b"/medium"]
    assert outcome.catalogs == 3
    assert markers(server, b"/large") == {b".cvmfscatalog", b".cvmfsautocatalog"}


def test_a_catalog_within_bounds_is_left_as_it_is(tmp_path):
    server = balanced(tmp_path)
    grow(server, "a", 9)
    grow(server, "b", 8)  # with the root and both directories: 20
    server.publish()
    assert names(server) == []


def test_deep_trees_are_cut_from_below(tmp_path):
    server = balanced(tmp_path)
    for path in ("a", "a/b", "a/b/c", "a/b/c/d"):
        grow(server, path, 7)
    server.publish()
    found = names(server)
    assert found
    with server.revision() as revision:
        for catalog in check_catalogs(revision).values():
            assert catalog.counters().own.entries <= 20


def test_balanced_catalogs_stay_while_the_tree_changes_a_little(tmp_path):
    server = balanced(tmp_path)
    grow(server, "large", 15)
    grow(server, "medium", 8)
    server.publish()
    before = names(server)
    assert not server.publish().published
    for number in range(3):
        grow(server, "large", 1, f"more{number}")
        grow(server, "", 1, f"top{number}")
        assert server.publish().catalogs == 2
    assert names(server) == before
    (server.tree / "large/f000").unlink()
    server.publish()
    assert names(server) == before


def test_a_catalog_that_shrank_is_dissolved(tmp_path):
    server = balanced(tmp_path)
    grow(server, "large", 15)
    grow(server, "large/inner", 12)
    grow(server, "medium", 8)
    server.publish()
    assert b"/medium" in names(server)
    for number in range(1, 8):
        (server.tree / f"medium/f{number:03}").unlink()
    server.publish()
    assert b"/medium" not in names(server)
    assert markers(server, b"/medium") == set()
    assert not server.publish().published


def test_a_catalog_that_a_person_made_is_never_dissolved(tmp_path):
    server = balanced(tmp_path)
    make(server.tree, ["tiny/.cvmfscatalog", "tiny/f"])
    server.publish()
    (server.tree / "tiny/f").write_text("changed")
    server.publish()
    assert names(server) == [b"/tiny"]


def test_a_catalog_with_catalogs_below_is_dissolved_and_keeps_them(tmp_path):
    server = balanced(tmp_path)
    grow(server, "a", 12)
    make(server.tree, ["a/in/.cvmfscatalog", "a/in/f"])
    grow(server, "b", 12)
    server.publish()
    assert names(server) == [b"/a", b"/a/in", b"/b"]
    for number in range(12):
        (server.tree / f"a/f{number:03}").unlink()
    server.publish()
    assert names(server) == [b"/a/in", b"/b"]


def test_a_directory_that_goes_takes_its_balanced_catalog_along(tmp_path):
    server = balanced(tmp_path)
    grow(server, "a/x", 15)
    grow(server, "b", 8)
    server.publish()
    assert b"/a/x" in names(server)
    for path in (server.tree / "a/x").iterdir():
        path.unlink()
    (server.tree / "a/x").rmdir()
    server.publish()
    assert b"/a/x" not in names(server)


def test_many_small_directories_are_cut_where_nothing_larger_can_be(tmp_path):
    server = balanced(tmp_path, most=40, least=20)
    for number in range(12):
        grow(server, f"package{number:02}", 5)
    server.publish()
    with server.revision() as revision:
        assert check_catalogs(revision)[b""].counters().own.entries <= 40
    assert names(server)[0] == b"/package00"


def test_a_flat_directory_cannot_be_cut(tmp_path):
    server = balanced(tmp_path)
    grow(server, "", 50)
    server.publish()
    assert names(server) == []


def test_a_marker_file_makes_a_balanced_catalog_ones_own(tmp_path):
    server = balanced(tmp_path)
    grow(server, "large", 15)
    grow(server, "medium", 8)
    server.publish()
    make(server.tree, ["large/.cvmfscatalog"])
    server.publish()
    assert markers(server, b"/large") == {b".cvmfscatalog"}
    for path in (server.tree / "large").glob("f*"):
        path.unlink()
    server.publish()
    assert b"/large" in names(server)


def test_bounds_that_cannot_be_kept_are_refused():
    with pytest.raises(ConfigError, match="at least 60 and at most 100"):
        Weights(100, 60)
