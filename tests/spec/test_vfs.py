"""vfs.tree, nodes and succession without a kernel: this test is the kernel, and remembers and forgets as it does."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from swrepo.errors import IsADirectory, NotASymlink, PathNotFound
from swrepo.mount.refresh import known_directories
from swrepo.objects.store import Want
from swrepo.repository.revision import Revision
from swrepo.vfs.journal import Journal
from swrepo.vfs.listings import StaleListing
from swrepo.vfs.nodes import new_memory
from swrepo.vfs.past import EPOCHS
from swrepo.vfs.succession import Stale, Succession
from swrepo.vfs.tree import ROOT_NODE, NotHere, StaleNode, Vfs
from tests.local_objects import UnpackedObjects
from tests.simulated_trees import Directory, File, Special, Symlink
from tests.simulator import RepositorySimulator


class Kernel:
    """Looks up as the kernel does: counts what it was told, loads what is missing, walks paths."""

    def __init__(self, directory: Path, tree, nested=()) -> None:
        self.simulator = RepositorySimulator()
        self.objects = UnpackedObjects(self.simulator, directory)
        self.counts, self.journal = new_memory(), Journal()
        self.vfs = Vfs(counts=self.counts, journal=self.journal)
        self.simulator.publish(tree, nested)
        self.volume = self.vfs.mount_root(self.revision(), {"VAR": "value"})

    def revision(self) -> Revision:
        manifest = self.simulator.manifest
        return Revision(manifest.root_catalog, self.objects, manifest.root_size)

    def crash(self) -> None:
        """The process dies, and another goes on with what it left."""
        self.vfs = Vfs(counts=self.counts, journal=self.journal)
        self.vfs.resume(lambda record: (Revision(record.root, self.objects), {"VAR": "value"}))
        self.volume = self.vfs.volumes[""]

    def publish(self, tree, nested=()) -> Stale:
        """A new revision, shown as mount.refresh does."""
        self.simulator.publish(tree, nested)
        succession = Succession(self.vfs, self.volume, self.revision())
        succession.prepare()
        stale = succession.apply()
        assert stale is not None
        return stale

    def lookup(self, path: bytes) -> int:
        """The number of a path, every step of it remembered."""
        number = ROOT_NODE
        for name in path.split(b"/")[1:]:
            number = self.now(lambda parent=number, name=name: self.vfs.lookup(parent, name))[0]
            self.vfs.nodes.remember(number)
        return number

    def now(self, call):
        while True:
            try:
                return call()
            except NotHere as missing:
                missing.fetch()

    def list(self, path: bytes, limit: int = 1000) -> list[bytes]:
        number = self.lookup(path) if path else ROOT_NODE
        names, cookie = [], 0
        while found := self.now(lambda at=cookie: self.vfs.listing(number, at, limit)):
            names += [item.name for item in found]
            cookie = found[-1].cookie
        return names

    def read(self, number: int) -> bytes:
        return self.vfs.content(number).pread(0, 1 << 20)


TREE = {
    b"/file": File(content=b"file", mtime=-1, mtime_ns=500_000_000, uid=7, gid=8, mode=0o4755),
    b"/chunked": File(content=b"0123456789" * 10, chunk_size=30),
    b"/link": Symlink(target=b"to/$(VAR)"),
    b"/empty-link": Symlink(target=b"$(UNSET)"),
    b"/device": Special(type=stat.S_IFBLK, rdev=66305),
    b"/one": File(content=b"linked", link="a"),
    b"/two": File(content=b"linked", link="a"),
    b"/dir/sub/file": File(content=b"deep"),
    b"/nested/file": File(content=b"nested"),
    b"/nested/inner/file": File(content=b"inner"),
}
NESTED = (b"/nested", b"/nested/inner")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path, TREE, NESTED)


def test_numbers_are_small_and_each_is_of_one_entry(kernel: Kernel) -> None:
    numbers = {path: kernel.lookup(path) for path in TREE}

    assert len(set(numbers.values())) == len(TREE) - 1, "hard links share"
    assert numbers[b"/one"] == numbers[b"/two"]
    assert max(numbers.values()) < 100
    assert ROOT_NODE not in numbers.values()


def test_status_is_as_published(kernel: Kernel) -> None:
    found = kernel.vfs.status(kernel.lookup(b"/file"))
    assert (found.mode, found.uid, found.gid, found.size) == (stat.S_IFREG | 0o4755, 7, 8, 4)
    assert (found.mtime, found.mtime_ns) == (-1, 500_000_000)
    device = kernel.vfs.status(kernel.lookup(b"/device"))
    assert (device.rdev, device.size) == (66305, 0)
    assert kernel.vfs.status(ROOT_NODE).mode == stat.S_IFDIR | 0o755
    assert kernel.vfs.status(kernel.lookup(b"/one")).nlink == 2


def test_links_are_expanded_and_may_be_empty(kernel: Kernel) -> None:
    link = kernel.lookup(b"/link")
    assert kernel.vfs.readlink(link) == b"to/value"
    assert kernel.vfs.status(link).size == 8
    assert kernel.vfs.readlink(kernel.lookup(b"/empty-link")) == b""
    with pytest.raises(NotASymlink):
        kernel.vfs.readlink(kernel.lookup(b"/file"))


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_a_listing_in_pieces_is_the_whole_listing(kernel: Kernel, limit: int) -> None:
    names = {path.split(b"/")[1] for path in TREE}
    found = kernel.list(b"", limit)
    assert found[:2] == [b".", b".."]
    assert sorted(found[2:]) == sorted(names)
    assert kernel.list(b"/dir/sub", limit) == [b".", b"..", b"file"]


def test_dots_lead_to_the_directory_and_the_one_above(kernel: Kernel) -> None:
    above, directory = kernel.lookup(b"/dir"), kernel.lookup(b"/dir/sub")
    dots = kernel.vfs.listing(directory, 0, 10)[:2]
    assert [item.number for item in dots] == [directory, above]
    assert [item.number for item in kernel.vfs.listing(above, 0, 10)[:2]] == [above, ROOT_NODE]


def test_a_nested_catalog_is_not_fetched_for_its_mountpoint_but_for_what_is_below(kernel: Kernel) -> None:
    fetched = len(kernel.objects.fetched)
    number, status = kernel.vfs.lookup(ROOT_NODE, b"nested")
    assert stat.S_ISDIR(status.mode)
    with pytest.raises(NotHere):
        kernel.vfs.lookup(number, b"file")
    assert len(kernel.objects.fetched) == fetched

    assert kernel.read(kernel.lookup(b"/nested/file")) == b"nested"
    assert kernel.read(kernel.lookup(b"/nested/inner/file")) == b"inner"


def test_contents_of_one_object_and_of_chunks(kernel: Kernel) -> None:
    assert kernel.read(kernel.lookup(b"/file")) == b"file"
    assert kernel.read(kernel.lookup(b"/chunked")) == b"0123456789" * 10
    assert kernel.vfs.content(kernel.lookup(b"/chunked")).pread(25, 10) == b"5678901234"
    with pytest.raises(IsADirectory):
        kernel.vfs.content(kernel.lookup(b"/dir"))


def test_paths_of_directories_are_found_again_after_they_were_forgotten(kernel: Kernel) -> None:
    deep, inner = kernel.lookup(b"/dir/sub"), kernel.lookup(b"/nested/inner")
    kernel.volume._paths.clear()

    assert kernel.now(lambda: kernel.vfs.lookup(deep, b"file"))[1].size == 4
    assert kernel.now(lambda: kernel.vfs.lookup(inner, b"file"))[1].size == 5


def test_numbers_that_were_never_given_out_are_stale(kernel: Kernel) -> None:
    for number in (0, 5_000_000):
        with pytest.raises(StaleNode):
            kernel.vfs.status(number)
    with pytest.raises(PathNotFound):
        kernel.vfs.lookup(ROOT_NODE, b"missing")


def test_what_did_not_change_keeps_its_number_and_what_did_gets_another(kernel: Kernel) -> None:
    before = {path: kernel.lookup(path) for path in TREE}
    directories = {path: kernel.lookup(path) for path in (b"/dir", b"/dir/sub", b"/nested", b"/nested/inner")}
    changed = {b"/AAA": File(), b"/file": File(content=b"FILE"), b"/dir/sub/file": File(content=b"changed")}

    stale = kernel.publish(TREE | changed, NESTED)

    after = {path: kernel.lookup(path) for path in TREE}
    assert {path for path in TREE if before[path] != after[path]} == {b"/file", b"/dir/sub/file"}
    assert {path: kernel.lookup(path) for path in directories} == directories
    assert set(stale.entries) == {(1, b"AAA"), (1, b"file"), (directories[b"/dir/sub"], b"file")}
    assert {1, directories[b"/dir/sub"]} <= set(stale.nodes)
    assert kernel.read(before[b"/file"]) == b"file", "who had it open keeps its bytes"
    assert kernel.read(after[b"/file"]) == b"FILE"
    assert kernel.vfs.status(before[b"/file"]).mode == stat.S_IFREG | 0o4755


def test_the_root_keeps_the_number_one(kernel: Kernel) -> None:
    kernel.publish({b"/other": File(content=b"other")})
    kernel.publish({b"/third": Directory()})

    assert kernel.list(b"") == [b".", b"..", b"third"]
    assert kernel.vfs.status(ROOT_NODE).nlink == 3


def test_a_removed_directory_is_empty_and_its_open_files_live_on(kernel: Kernel) -> None:
    directory, file = kernel.lookup(b"/dir/sub"), kernel.lookup(b"/dir/sub/file")
    chunked = kernel.lookup(b"/chunked")

    kernel.publish({b"/other": File()})

    assert kernel.vfs.listing(directory, 0, 10) == []
    with pytest.raises(PathNotFound):
        kernel.vfs.lookup(directory, b"file")
    assert kernel.read(file) == b"deep"
    assert kernel.read(chunked) == b"0123456789" * 10


def test_what_the_kernel_forgot_is_gone_and_its_numbers_are_used_again(kernel: Kernel) -> None:
    highest = 0
    for turn in range(20):
        number = kernel.lookup(b"/file")
        assert kernel.read(number) == (b"file" if turn == 0 else b"turn %d" % turn)
        highest = max(highest, number)
        tree = TREE | {b"/file": File(content=b"turn %d" % (turn + 1))}
        kernel.publish(tree, NESTED)
        kernel.vfs.forget(number, 1)
        with pytest.raises(StaleNode):
            kernel.vfs.status(number)
    assert highest < 100
    assert len(kernel.vfs.nodes.spans()) <= 2


def test_a_number_outlives_several_revisions(kernel: Kernel) -> None:
    kept, gone = kernel.lookup(b"/one"), kernel.lookup(b"/file")
    for turn in range(5):
        kernel.publish({b"/one": TREE[b"/one"], b"/two": TREE[b"/two"], b"/AA%d" % turn: File()})

    assert kernel.lookup(b"/one") == kept
    assert kernel.read(kept) == b"linked"
    assert kernel.read(gone) == b"file"


def test_a_listing_that_was_begun_before_goes_on_in_the_old_revision(kernel: Kernel) -> None:
    first = kernel.vfs.listing(ROOT_NODE, 0, 4)
    kernel.publish({b"/other": File()})

    rest = kernel.vfs.listing(ROOT_NODE, first[-1].cookie, 1000)

    names = [item.name for item in first + rest]
    assert sorted(names[2:]) == sorted({path.split(b"/")[1] for path in TREE})
    assert all(item.status is None for item in rest), "names only"


@pytest.mark.parametrize("revisions", [1, 2, 9, 30])
def test_a_listing_goes_on_after_any_number_of_revisions(kernel: Kernel, revisions: int) -> None:
    first = kernel.vfs.listing(ROOT_NODE, 0, 4)
    for number in range(revisions):  # each shifts the rows of all others
        kernel.publish(TREE | {b"/%02d" % name: File() for name in range(number + 1)}, NESTED)

    names = [item.name for item in first]
    cookie = first[-1].cookie
    while found := kernel.now(lambda at=cookie: kernel.vfs.listing(ROOT_NODE, at, 2)):
        names += [item.name for item in found]
        cookie = found[-1].cookie

    assert sorted(names[2:]) == sorted({path.split(b"/")[1] for path in TREE})


def test_a_listing_of_an_unchanged_catalog_keeps_its_cookies(kernel: Kernel) -> None:
    number = kernel.lookup(b"/nested")
    before = kernel.now(lambda: kernel.vfs.listing(number, 0, 100))
    for revision in range(3):
        kernel.publish(TREE | {b"/new": File(content=b"%d" % revision)}, NESTED)

    after = kernel.now(lambda: kernel.vfs.listing(number, 0, 100))

    assert after == before


def test_a_listing_that_was_held_for_a_thousand_revisions_has_to_begin_again(kernel: Kernel) -> None:
    first = kernel.vfs.listing(ROOT_NODE, 0, 4)
    kernel.publish({b"/other": File()})
    kernel.publish({b"/another": File()})
    for epoch in range(EPOCHS):
        kernel.volume.past.note(2 + epoch, kernel.volume.revision.root)
    with pytest.raises(StaleListing):
        kernel.now(lambda: kernel.vfs.listing(ROOT_NODE, first[-1].cookie, 4))


def test_known_directories_are_those_that_the_kernel_remembers_changed_or_not(kernel: Kernel) -> None:
    numbers = [kernel.lookup(path) for path in (b"/dir/sub", b"/nested/inner", b"/file", b"/link")]
    kernel.publish(TREE | {b"/AAA": Directory()}, NESTED)
    new = kernel.lookup(b"/AAA")

    known = known_directories(kernel.vfs, kernel.volume)

    above = [kernel.lookup(path) for path in (b"/dir", b"/nested")]
    assert sorted(known) == sorted([ROOT_NODE, *numbers[:2], *above, new])


def test_an_unchanged_nested_catalog_is_not_compared_and_keeps_its_numbers(kernel: Kernel) -> None:
    number = kernel.lookup(b"/nested/inner/file")
    fetched = len(kernel.objects.fetched)

    kernel.publish(TREE | {b"/new": File()}, NESTED)

    assert kernel.lookup(b"/nested/inner/file") == number
    assert [want for want in kernel.objects.fetched[fetched:] if want.id.kind == "C"] == [
        Want(kernel.simulator.manifest.root_catalog, size=kernel.simulator.manifest.root_size)
    ]


def test_an_entry_that_the_kernel_learns_between_preparing_and_applying_is_noticed(kernel: Kernel) -> None:
    kernel.simulator.publish(TREE | {b"/dir/sub/file": File(content=b"changed")}, NESTED)
    succession = Succession(kernel.vfs, kernel.volume, kernel.revision())
    succession.prepare()
    file = kernel.lookup(b"/dir/sub/file")

    assert succession.apply() is None
    succession.prepare()
    assert succession.apply() is not None

    assert kernel.read(file) == b"deep"
    assert kernel.read(kernel.lookup(b"/dir/sub/file")) == b"changed"
