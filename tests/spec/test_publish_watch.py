"""A tree that is watched: which paths a publication has to look at, when it is made, and what is in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from swrepo.errors import NotFound, PublishError
from swrepo.publish.changed import Touched
from swrepo.publish.pacing import Pacing
from swrepo.publish.tree_watch import Changes, TreeWatch
from swrepo.system import inotify
from swrepo.system.inotify import Event, Inotify
from tests.publishing import Server

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")


@pytest.fixture
def tree(tmp_path):
    found = tmp_path / "tree"
    (found / "lib/deep").mkdir(parents=True)
    (found / "lib/deep/one").write_text("1")
    (found / "other").mkdir()
    return found


@pytest.fixture
def watch(tree):
    with Inotify() as notices:
        found = TreeWatch(os.fsencode(tree), notices)
        found.start()
        assert found.take().everything
        yield found


def changes(watch):
    watch.look()
    found = watch.take()
    return found.everything, found.trees, found.entries


class TestWhatChanged:
    def test_nothing_is_nothing(self, watch):
        assert not watch.look()
        assert changes(watch) == (False, set(), set())

    def test_a_written_file_is_named_and_no_other(self, tree, watch):
        (tree / "lib/deep/one").write_text("2")
        assert changes(watch) == (False, set(), {b"/lib/deep/one"})

    def test_metadata_removals_links_and_names_of_any_bytes_are_changes(self, tree, watch):
        (tree / "lib/deep/one").chmod(0o600)
        (tree / "lib/link").symlink_to("deep")
        (tree / os.fsdecode(b"a\xff\nb")).touch()
        (tree / "other").chmod(0o700)
        assert changes(watch) == (False, set(), {b"/lib/deep/one", b"/lib/link", b"/a\xff\nb", b"/other"})
        (tree / "lib/deep/one").unlink()
        assert changes(watch)[2] == {b"/lib/deep/one"}

    def test_a_new_directory_is_a_tree_and_watched_with_all_below(self, tree, watch):
        (tree / "new/below").mkdir(parents=True)
        (tree / "new/below/file").touch()
        assert changes(watch)[:2] == (False, {b"/new"})
        (tree / "new/below/file").write_text("x")
        assert changes(watch) == (False, set(), {b"/new/below/file"})

    def test_a_renamed_directory_is_gone_here_and_a_tree_there(self, tree, watch):
        (tree / "lib").rename(tree / "other/moved")
        everything, trees, entries = changes(watch)
        assert (everything, trees) == (False, {b"/other/moved"})
        assert b"/lib" in entries
        (tree / "other/moved/deep/one").write_text("3")
        assert changes(watch) == (False, set(), {b"/other/moved/deep/one"})

    def test_a_directory_that_leaves_the_tree_is_watched_no_more(self, tree, watch, tmp_path):
        (tree / "lib").rename(tmp_path / "outside")
        assert b"/lib" in changes(watch)[2]
        (tmp_path / "outside/deep/one").write_text("3")
        assert changes(watch) == (False, set(), set())
        assert watch.directories == 2

    def test_a_directory_in_place_of_another_is_compared_whole(self, tree, watch):
        shutil.rmtree(tree / "lib")
        (tree / "lib").mkdir()
        (tree / "lib/fresh").touch()
        everything, trees, entries = changes(watch)
        assert (everything, trees) == (False, {b"/lib"})
        assert {b"/lib", b"/lib/deep"} <= entries
        (tree / "lib/fresh").write_text("x")
        assert changes(watch) == (False, set(), {b"/lib/fresh"})

    def test_a_tree_that_is_gone_is_an_error(self, tree, watch):
        shutil.rmtree(tree)
        with pytest.raises(NotFound, match="watched no more"):
            watch.look()

    def test_what_could_not_be_published_is_told_again(self, tree, watch):
        (tree / "lib/deep/one").write_text("2")
        watch.look()
        watch.give_back(watch.take())
        (tree / "other/two").touch()
        assert changes(watch) == (False, set(), {b"/lib/deep/one", b"/other/two"})

    def test_so_much_that_everything_is_to_be_compared(self):
        found = Changes(entries={b"/%d" % n for n in range(150_000)})
        found.add(Changes(entries={b"/x%d" % n for n in range(100_000)}))
        assert found.touched is None
        assert not found.entries

    def test_the_values_are_those_that_a_publication_takes(self):
        found = Changes(trees={b"/a"}, entries={b"/b"})
        assert found.touched == Touched(frozenset([b"/a"]), frozenset([b"/b"]))


class Kernel:
    """Notices as the test gives them."""

    def __init__(self, most=1000):
        self.events = []
        self.watched = []
        self.most = most

    def add(self, directory):
        if len(self.watched) >= self.most:
            raise OSError(28, "No space left on device")
        self.watched.append(directory)
        return len(self.watched)

    def remove(self, watch):
        self.watched[watch - 1] = None

    def read(self):
        found, self.events = self.events, []
        return found


def test_after_an_overflow_everything_is_compared_and_every_directory_watched_anew(tree):
    kernel = Kernel()
    watch = TreeWatch(os.fsencode(tree), kernel)
    watch.start()
    watch.take()
    (tree / "unseen").mkdir()
    kernel.events = [Event(-1, inotify.OVERFLOW, b""), Event(1, inotify.MODIFY, b"stale")]
    assert changes(watch) == (True, set(), set())
    assert [path for path in kernel.watched if path is not None][-4:].count(os.fsencode(tree / "unseen")) == 1
    assert watch.directories == 5


def test_more_directories_than_the_kernel_watches_is_an_error_that_says_what_to_do(tree):
    with pytest.raises(PublishError, match=r"no more than 2 directories.*sysctl"):
        TreeWatch(os.fsencode(tree), Kernel(most=2)).start()


class TestWhen:
    def test_it_is_published_when_it_is_quiet(self):
        pacing = Pacing(2, 60)
        pacing.published(100, everything=True)
        assert pacing.wait(101) is None
        pacing.changed(110)
        assert pacing.wait(110) == 2
        pacing.changed(111)
        assert pacing.wait(112) == 1
        pacing.published(113, everything=False)
        assert pacing.wait(114) is None

    def test_or_after_some_time_although_it_is_not(self):
        pacing = Pacing(2, 60)
        for second in range(100, 160):
            pacing.changed(second)
        assert pacing.wait(159) == 1
        assert pacing.wait(160) == 0

    def test_a_failure_is_tried_again_later(self):
        pacing = Pacing(2, 60, retry=30)
        pacing.changed(100)
        pacing.failed(102)
        pacing.changed(103)
        assert pacing.wait(110) == 22

    def test_everything_is_compared_from_time_to_time(self):
        pacing = Pacing(2, 60, everything=3600)
        pacing.published(100, everything=True)
        assert pacing.wait(200) == 3500
        assert not pacing.wants_everything(3699)
        assert pacing.wants_everything(3700)
        pacing.changed(300)
        assert pacing.wait(300) == 2


@contextmanager
def watching(server, *words):
    """`swrepo server watch`, once it has said its first line; stopped as systemd stops it."""
    command = [sys.executable, "-m", "swrepo.cli.main", "server", "watch", server.fqrn, "--quiet", "0.01", *words]
    environment = {**os.environ, "SWREPO_PREFIX": str(server.layout.prefix)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    try:
        assert "watching" in process.stdout.readline()
        yield process.stdout
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait() == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def until(lines, wanted):
    """What is said up to a line that has `wanted` in it."""
    said = [""]
    while wanted not in said[-1]:
        said.append(lines.readline())
        assert said[-1], said
    return said[1:]


def test_what_changes_is_published_by_its_paths_until_the_program_is_stopped(tmp_path):
    server = Server(tmp_path)
    server.clock.ns = time.time_ns()
    (server.tree / "lib").mkdir()
    (server.tree / "lib/one").write_text("1")
    with watching(server, "-v") as lines:
        until(lines, "published revision 2")
        (server.tree / ".cvmfs").mkdir()  # this name is the repository's own
        until(lines, "reserved")
    (server.tree / ".cvmfs").rmdir()
    with watching(server, "-v", "--skip-unreadable") as lines:
        until(lines, "published revision 3")  # the time of the top directory
        (tmp_path / "two").write_text("2")
        (tmp_path / "two").rename(server.tree / "lib/two")
        said = until(lines, "published revision 4")
        assert [line.split() for line in said[:-1]] == [["changed", "/lib"], ["added", "/lib/two"]]
    server.check()
