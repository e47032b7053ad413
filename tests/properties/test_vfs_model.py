"""The Vfs against a dict, under random publishing, refreshing, reading, forgetting and dying."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swrepo.errors import PathNotFound
from swrepo.format.paths import ancestors, basename, parent
from swrepo.repository.status import Status
from swrepo.vfs.tree import ROOT_NODE
from tests.simulated_trees import Directory, File, Symlink
from tests.spec.test_vfs import Kernel

NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: b"".join(b"/" + name for name in names))
NODES = st.one_of(
    st.builds(lambda number: File(content=b"content %d" % number), st.integers(0, 3)),
    st.builds(lambda number: File(content=b"c" * 50 + b"%d" % number, chunk_size=20), st.integers(0, 2)),
    st.builds(lambda number: Symlink(target=b"target %d" % number), st.integers(0, 2)),
    st.builds(lambda mode: Directory(mode=mode), st.sampled_from([0o755, 0o700])),
)


@st.composite
def trees(draw) -> dict:
    """A tree that can be: nothing lies below what is no directory."""
    drawn = draw(st.dictionaries(PATHS, NODES, max_size=8))
    return {
        path: node
        for path, node in drawn.items()
        if all(isinstance(drawn.get(above, Directory()), Directory) for above in ancestors(path)[1:-1])
    }


def completed(tree: dict) -> dict:
    """With the directories that are implied."""
    return {above: Directory() for path in tree for above in ancestors(path)[1:-1]} | tree


def packed(number: int, status: Status) -> bytes:
    """An answer to a look-up, in place of the kernel's structure."""
    return repr((number, status)).encode()


class VfsModel(RuleBasedStateMachine):
    """`told`: number -> (how often the kernel was told, the node that it saw, None for directories)."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()

    def teardown(self) -> None:
        self._folder.cleanup()

    @initialize(tree=trees())
    def start(self, tree: dict) -> None:
        self.kernel = Kernel(Path(self._folder.name), tree, ())
        self.tree = completed(tree)
        self.told: dict[int, list] = {}
        self.paths: dict[bytes, int] = {}

    @rule(tree=trees(), data=st.data())
    def publish(self, tree: dict, data) -> None:
        """Replace some of the tree, with other catalogs; drop the dentries that the kernel is told to drop."""
        kept = {path: node for path, node in self.tree.items() if data.draw(st.booleans())}
        merged = {
            path: node
            for path, node in (kept | tree).items()
            if all(isinstance((kept | tree).get(above, Directory()), Directory) for above in ancestors(path)[1:-1])
        }
        new = completed(merged)
        directories = [path for path, node in new.items() if isinstance(node, Directory)]
        nested = data.draw(st.sets(st.sampled_from(directories))) if directories else set()
        stale = self.kernel.publish(merged, nested)
        dropped = {(number, name) for number, name in stale.entries}
        for path in sorted(self.paths):
            above = self.paths.get(parent(path), ROOT_NODE if path.count(b"/") == 1 else None)
            if above is None or (above, basename(path)) in dropped:
                del self.paths[path]
        # What the kernel still believes must be true in the new revision.
        for path in self.paths:
            assert path in new
        self.tree = new

    @precondition(lambda self: self.tree)
    @rule(data=st.data())
    def look_up(self, data) -> None:
        path = data.draw(st.sampled_from(sorted(self.tree)))
        number = ROOT_NODE
        for step in ancestors(path)[1:]:
            known = self.paths.get(step)
            if known is not None:
                number = known
                continue
            parent_number, name = number, basename(step)
            ready = self.kernel.vfs.foreseen.answer(parent_number, name)
            number, status = self.kernel.now(lambda p=parent_number, n=name: self.kernel.vfs.lookup(p, n))
            assert ready is None or (ready.number, ready.packed) == (number, packed(number, status))
            self.kernel.vfs.nodes.remember(number)
            node = self.tree[step]
            entry = self.told.setdefault(number, [0, node])
            entry[0] += 1
            assert isinstance(entry[1], Directory) == isinstance(node, Directory)
            assert isinstance(node, Directory) or entry[1] == node, "one number, two files"
            self.paths[step] = number

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def forget(self, data) -> None:
        """As the kernel does: only what no remembered path leads to or through."""
        number = data.draw(st.sampled_from(sorted(self.told)))
        leading = [path for path, known in self.paths.items() if known == number]
        if any(other.startswith(path + b"/") for path in leading for other in self.paths):
            return
        for path in leading:
            del self.paths[path]
        self.kernel.vfs.forget(number, self.told.pop(number)[0])

    @rule(pieces=st.integers(1, 3))
    def idle(self, pieces: int) -> None:
        """A moment without requests: directories are read before their names are asked for."""
        self.kernel.vfs.foreseen.pack = packed
        for _ in range(pieces):
            self.kernel.vfs.foreseen.read_on()

    @rule()
    def crash(self) -> None:
        """The process is killed; its successor knows what the kernel knows."""
        self.kernel.crash()

    @rule(path=PATHS)
    def miss(self, path: bytes) -> None:
        if path in self.tree:
            return
        above = parent(path)
        if above and not isinstance(self.tree.get(above), Directory):
            return
        number = self.paths.get(above, ROOT_NODE if not above else None)
        if number is None:
            return
        ready = self.kernel.vfs.foreseen.answer(number, basename(path))
        assert ready is None or ready.entry is None
        try:
            self.kernel.now(lambda: self.kernel.vfs.lookup(number, basename(path)))
        except PathNotFound:
            return
        raise AssertionError(path)

    @invariant()
    def every_number_shows_what_it_was_given_out_for(self) -> None:
        vfs = self.kernel.vfs
        for number, (_, node) in self.told.items():
            if isinstance(node, Symlink):
                assert vfs.readlink(number) == node.target
            elif isinstance(node, File):
                assert self.kernel.read(number) == node.content
                assert vfs.status(number).size == len(node.content)
        for path, number in self.paths.items():
            if isinstance(self.tree[path], Directory):
                assert vfs.status(number).mode & 0o777 == self.tree[path].mode
                below = [other for other in self.tree if parent(other) == path]
                listed = self.kernel.now(lambda n=number: vfs.listing(n, 0, 100))
                assert sorted(item.name for item in listed[2:]) == sorted(map(basename, below))

    @invariant()
    def spans_do_not_pile_up(self) -> None:
        spans = self.kernel.vfs.nodes.spans()
        assert all(span.known or span.catalog is not None for span in spans)


VfsModel.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestVfsModel = VfsModel.TestCase
