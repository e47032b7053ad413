"""publish.changed: of what somebody says has changed the next revision is made, and nothing else is looked at."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil

import pytest

from swrepo.errors import PublishError
from swrepo.publish.changed import Touched
from swrepo.publish.progress import Silent
from swrepo.publish.storage import in_directory
from tests.publishing import Server
from tests.spec.test_publish_transaction import fill


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path / "server")
    fill(found.tree)
    found.publish()
    return found


def trees(*paths):
    return Touched(frozenset(os.fsencode(path) for path in paths))


def test_a_file_that_is_named_is_published_with_the_catalogs_on_its_way(server):
    (server.tree / "a" / "b" / "file").write_bytes(b"changed")
    outcome = server.publish(touched=trees("/a/b/file"))
    assert (outcome.changed, outcome.added, outcome.removed, outcome.catalogs, outcome.entries) == (1, 0, 0, 3, 3)
    server.check()


def test_what_is_not_named_stays_as_it_was_published(server):
    (server.tree / "plain" / "file").write_bytes(b"changed")
    (server.tree / "d" / "file").write_bytes(b"changed too")
    assert server.publish(touched=trees("/d/file")).changed == 1
    with pytest.raises(AssertionError):
        server.check()
    assert server.publish().changed == 1  # the next comparison of everything finds it
    server.check()


@pytest.mark.parametrize("where", ["/new", "/new/deep", "/new/deep/file", "/a/new", "/a/b/c/new"])
def test_a_new_file_is_published_with_all_directories_above_it_that_are_new(server, where):
    path = server.tree / where[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"new")
    server.publish(touched=trees(where))
    server.check()


@pytest.mark.parametrize("where", ["big", "bin", "a/b", "a/b/c", "bin/twin", "d/.cvmfscatalog", "a/.cvmfscatalog"])
def test_what_is_gone_is_removed(server, where):
    path = server.tree / where
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert server.publish(touched=trees("/" + where)).removed > 0
    server.check()


def test_a_path_below_a_directory_that_is_gone_removes_the_directory(server):
    shutil.rmtree(server.tree / "a")
    server.publish(touched=trees("/a/b/c/file"))
    server.check()


@pytest.mark.parametrize(("old", "new"), [("a", "file"), ("big", "directory"), ("bin", "link"), ("bin/alias", "file")])
def test_what_becomes_something_else_is_replaced(server, old, new):
    path = server.tree / old
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    if new == "file":
        path.write_bytes(b"a file")
    elif new == "link":
        path.symlink_to("plain")
    else:
        path.mkdir()
        (path / "file").write_bytes(b"in it")
    server.publish(touched=trees("/" + old))
    server.check()


def test_names_of_one_file_stay_together_though_one_was_named(server):
    os.link(server.tree / "bin" / "tool", server.tree / "bin" / "third")
    server.publish(touched=trees("/bin/third"))
    server.check()
    (server.tree / "bin" / "third").write_bytes(b"new content of all three")
    server.publish(touched=trees("/bin/tool"))
    server.check()
    (server.tree / "bin" / "tool").unlink()
    server.publish(touched=trees("/bin/tool"))
    server.check()


def test_of_a_directory_that_is_named_alone_only_itself_is_looked_at(server):
    (server.tree / "plain").chmod(0o700)
    (server.tree / "plain" / "file").write_bytes(b"changed")
    outcome = server.publish(touched=Touched(entries=frozenset((b"/plain",))))
    assert (outcome.changed, outcome.entries) == (1, 1)


def test_a_path_that_never_was_changes_nothing(server):
    assert not server.publish(touched=trees("/never/was", "/bin/never")).published


def test_rules_for_catalogs_that_are_named_hold_for_all_of_the_tree(server):
    (server.tree / "plain" / "sub").mkdir()
    (server.tree / ".cvmfsdirtab").write_bytes(b"/plain/*\n")
    server.publish(touched=trees("/.cvmfsdirtab"))
    with server.revision() as revision:
        assert revision.tree.mounted(b"/plain/sub") is not None


def test_a_path_that_cannot_be_read_is_a_fault_of_that_path(server):
    name = "x" * 256
    with pytest.raises(PublishError, match=f"/{name}: File name too long"):
        server.publish(touched=trees(f"/{name}"))


def test_catalogs_that_are_not_on_the_way_are_not_read(server):
    read = []

    class Noting:
        def __init__(self, inner):
            self._inner = inner

        def fetch(self, want, out):
            read.append(want.id)
            self._inner.fetch(want, out)

    def open_storage(places):
        found = in_directory(places)
        return dataclasses.replace(found, source=Noting(found.source))

    with server.revision() as revision:
        catalogs = {ref.path: ref.id for ref in revision.tree.root.nested()}
    (server.tree / "d" / "file").write_bytes(b"changed")
    server.publish(touched=trees("/d/file"), open_storage=open_storage)
    assert catalogs[b"/d"] in read
    assert catalogs[b"/a"] not in read


def test_the_comparison_after_it_reads_only_what_it_would_have_read_without_it(server):
    server.publish()
    (server.tree / "plain" / "file").write_bytes(b"changed")
    (server.tree / "new").mkdir()
    (server.tree / "new" / "file").write_bytes(b"new")
    server.publish(touched=trees("/plain/file", "/new"))
    files = []

    class Counting(Silent):
        def advance(self, count, size):
            files.append((count, size))

    assert not server.publish(progress=Counting()).published
    assert len(files) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_that_are_named_make_what_a_comparison_of_everything_makes(server, seed):
    dice = random.Random(seed)
    for _ in range(4):
        touched = {change(server.tree, dice) for _ in range(dice.randint(1, 12))} - {None}
        server.publish(touched=trees(*touched))
        server.check()


def change(tree, dice):
    """Change something; the path in the repository."""
    everything = sorted(path for path in tree.rglob("*") if not path.name.startswith(".cvmfs"))
    directories = [tree, *(path for path in everything if path.is_dir() and not path.is_symlink())]
    files = [path for path in everything if path.is_file() and not path.is_symlink()]
    kind = dice.choice(("write", "make", "remove", "deep", "link", "mode", "mark", "turn"))
    path = dice.choice(everything or [tree / "first"])
    if kind == "write" and files:
        path = dice.choice(files)
        path.write_bytes(dice.randbytes(dice.choice((0, 5, 40_000))))
    elif kind == "make":
        path = dice.choice(directories) / f"f{dice.randrange(9)}"
        if not path.exists():
            path.write_bytes(b"%d" % dice.randrange(9))
    elif kind == "deep":
        path = dice.choice(directories) / f"d{dice.randrange(3)}"
        if not path.exists():
            (path / "e").mkdir(parents=True)
            (path / "e" / "file").write_bytes(b"deep")
    elif kind == "link" and files:
        path = dice.choice(files).parent / f"l{dice.randrange(9)}"
        if not path.exists():
            os.link(dice.choice([file for file in files if file.parent == path.parent]), path)
    elif kind == "mode" and files:
        path = dice.choice(files)
        path.chmod(dice.choice((0o600, 0o644, 0o755)))
    elif kind == "mark":
        path = dice.choice(directories) / ".cvmfscatalog"
        if path.parent == tree:
            return None
        if path.exists():
            path.unlink()
        else:
            path.touch()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif kind == "turn" and path.exists():
        path.unlink()
        path.mkdir()
    elif path.exists():
        path.unlink()
    return f"/{path.relative_to(tree)}"


def test_a_work_tree_that_is_empty_because_another_directory_is_published_does_not_empty_the_repository(tmp_path):
    server = Server(tmp_path / "server")
    other = tmp_path / "other"
    other.mkdir()
    fill(other)
    server.publisher().publish(server.fqrn, other)
    with pytest.raises(PublishError, match="would remove everything"):
        server.publish()
    (server.tree / "own").write_bytes(b"1")
    server.publish()
    (server.tree / "own").unlink()
    server.publish()
    server.check()
