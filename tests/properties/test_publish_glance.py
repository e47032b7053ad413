"""A directory that is passed over at a glance is one in which the closer look finds nothing."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from swrepo.publish.changes import Kept, Left
from swrepo.publish.encoder import Encoder
from swrepo.publish.entries import EntryRules
from swrepo.publish.faults import Faults
from swrepo.publish.nesting import CatalogPlaces, rules_in
from swrepo.publish.settled import Settled
from swrepo.publish.tree_diff import TreeDiff
from tests.publishing import Clock, MemoryRevision, MemoryStore

NAMES = ["a", "b", "c"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


def write(tree: Path, path: str, other: str) -> None:
    (tree / path).write_text(other)


def make_directory(tree: Path, path: str, other: str) -> None:
    (tree / path).mkdir(parents=True)
    (tree / path / "file").write_text(other)


def rename(tree: Path, path: str, other: str) -> None:
    (tree / path).rename(tree / other)


def remove(tree: Path, path: str, _: str) -> None:
    (tree / path).unlink()


def link(tree: Path, path: str, other: str) -> None:
    os.link(tree / path, tree / other)


def chmod(tree: Path, path: str, other: str) -> None:
    (tree / path).chmod(0o700 if len(other) > 1 else 0o755)


def begin_catalog(tree: Path, path: str, _: str) -> None:
    (tree / path / ".cvmfscatalog").touch()


def end_catalog(tree: Path, path: str, _: str) -> None:
    (tree / path / ".cvmfscatalog").unlink()


def rule(tree: Path, path: str, _: str) -> None:
    (tree / ".cvmfsdirtab").write_text(f"/{path}\n")


OPERATIONS = [write, make_directory, rename, remove, link, chmod, begin_catalog, end_catalog, rule]
operations = st.tuples(st.sampled_from(OPERATIONS), paths, paths)


def change(tree: Path, done: list) -> None:
    for operation, path, other in done:
        with suppress(OSError):  # not possible here
            operation(tree, path, other)


class Scans:
    """A tree and its last revision."""

    def __init__(self, tree: Path) -> None:
        self.tree = os.fsencode(tree)
        self.clock = Clock()
        self.last = MemoryRevision()
        self.known = Settled()

    def scan(self, known: Settled) -> tuple[list, TreeDiff]:
        faults, known.now_ns = Faults(), self.clock.ns
        places = CatalogPlaces(Encoder(), MemoryStore(), rules_in(self.tree, faults))
        found = TreeDiff(self.tree, self.last, EntryRules(), known, faults, places)
        return list(found), found

    def publish(self) -> list:
        changes, scan = self.scan(self.known)
        self.last = self.last.apply(
            change._replace(read=None) if getattr(change, "read", None) else change for change in changes
        )
        self.known = Settled(self.clock.ns, scan.directories)
        return changes


def telling(changes: list) -> list:
    """Without what only structures the stream: catalogs that are kept open are not among the changes."""
    return [item for item in changes if not isinstance(item, (Kept, Left))]


@settings(max_examples=60, deadline=None)
@given(st.lists(operations, max_size=25), st.lists(st.lists(operations, max_size=4), max_size=4))
def test_a_glance_says_no_more_than_the_closer_look(first: list, then: list):
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory)
        scans = Scans(tree)
        make_directory(tree, "a/b", "x")
        make_directory(tree, "b", "x")
        change(tree, first)
        scans.publish()
        for done in then:
            change(tree, done)
            unmarked = {key: value & (1 << 64) - 1 for key, value in scans.known.directories.items()}
            closely, look = scans.scan(Settled(scans.known.start_ns, unmarked))
            at_a_glance, scan = scans.scan(scans.known)
            assert telling(at_a_glance) == telling(closely)
            assert scan.entries == look.entries
            assert scan.linked_elsewhere == look.linked_elsewhere
            scans.publish()
        assert telling(scans.publish()) == []
