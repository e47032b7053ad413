"""Random publications, tags, rollbacks, branches and collections against a model in a dictionary.

Whatever has a name can be read and shows what it showed; after a collection nothing else is left.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from swrepo.catalog.reader import CatalogFile
from swrepo.errors import NotFound, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from swrepo.publish.plain import PlainObjects
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk
from swrepo.upkeep.branching import back_to_trunk, check_out
from swrepo.upkeep.check import RepositoryCheck, Scope
from swrepo.upkeep.garbage import Collection, Keep
from swrepo.upkeep.opening import Keeper
from swrepo.upkeep.rollback import roll_back
from swrepo.upkeep.tags import Tags
from tests.publishing import Server, fast_options

Tree = dict[str, str]


@dataclass
class Named:
    revision: int
    branch: str
    tree: Tree


@dataclass
class Model:
    """What the repository should show."""

    revision: int = 1
    tags: dict[str, Named] = field(default_factory=lambda: {"trunk": Named(1, "", {})})

    def publish(self, tree: Tree, name: str = "") -> None:
        self.revision += 1
        self.tags["trunk-previous"] = self.tags["trunk"]
        self.tags["trunk"] = Named(self.revision, "", tree)
        if name:
            self.tags[name] = self.tags["trunk"]

    def roll_back(self, name: str) -> None:
        target = self.tags[name]
        self.revision += 1
        self.tags = {other: tag for other, tag in self.tags.items() if tag.branch or tag.revision <= target.revision}
        self.tags.pop("trunk-previous", None)
        again = Named(self.revision, "", target.tree)
        self.tags["trunk"] = again
        if name != "trunk-previous":
            self.tags[name] = again


class World:
    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = Server(directory, fast_options(garbage_collectable=True, auto_tag=False))
        self.model = Model()
        self.count = 0

    def keeper(self) -> Keeper:
        self.server.clock.ns += 60 * 10**9
        return Keeper(self.server.layout, self.server.clock.nanoseconds)

    def change(self) -> Tree:
        """Change the work tree; what it then holds."""
        tree = self.server.tree
        for _ in range(self.random.randint(1, 3)):
            self.count += 1
            path = tree / self.random.choice(("a", "b", "d/a", "d/b", "n/a", "n/b", "n/m/a"))
            if path.exists() and self.random.random() < 0.3:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parts[-2] in ("n", "m"):
                (path.parent / ".cvmfscatalog").touch()
            path.write_text(f"content {self.random.randint(0, 9)}" if self.random.random() < 0.5 else f"{self.count}")
        return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}

    def new_name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def publish(self) -> None:
        name = self.new_name() if self.random.random() < 0.5 else ""
        tree = self.change()
        outcome = self.server.publish(name)
        if outcome.published:
            self.model.publish(tree, name)
        elif name:
            self.model.tags[name] = self.model.tags["trunk"]

    def tag(self) -> None:
        name = self.new_name()
        Tags(self.keeper()).add(self.server.fqrn, name)
        self.model.tags[name] = self.model.tags["trunk"]

    def untag(self) -> None:
        names = [name for name in self.model.tags if not name.startswith("trunk")]
        if names:
            gone = self.random.choice(names)
            Tags(self.keeper()).remove(self.server.fqrn, [gone])
            del self.model.tags[gone]

    def roll_back(self) -> None:
        name = self.random.choice(sorted(self.model.tags.keys() - {"trunk"} | {"trunk-previous"}))
        target = self.model.tags.get(name)
        if target is None or target.branch or target.revision == self.model.revision:
            with pytest.raises((NotFound, UsageError)):
                roll_back(self.keeper(), self.server.fqrn, name)
            return
        roll_back(self.keeper(), self.server.fqrn, name)
        self.model.roll_back(name)

    def branch(self) -> None:
        branches = sorted({tag.branch for tag in self.model.tags.values()} - {""})
        if branches and self.random.random() < 0.5:
            branch = self.random.choice(branches)
            start = max(tag.revision for tag in self.model.tags.values() if tag.branch == branch)
            check_out(self.keeper(), self.server.fqrn, branch)
        else:
            branch, source = f"branch-{self.new_name()}", self.random.choice(sorted(self.model.tags))
            start = self.model.tags[source].revision
            check_out(self.keeper(), self.server.fqrn, branch, source)
        name, tree = self.new_name(), self.change()
        outcome = self.server.publish(name)
        self.model.tags[name] = Named(start + outcome.published, branch, tree)
        back_to_trunk(self.keeper(), self.server.fqrn)

    def collect(self) -> None:
        Collection(self.keeper(), Keep(revisions=0)).run(self.server.fqrn)
        reached = {name for tag in self.server.tags().values() for name in self.reached(tag.root)}
        left = {name for name in self.server.objects() if name.kind in (Kind.FILE, Kind.PARTIAL, Kind.CATALOG)}
        assert left == reached

    def reached(self, root: ObjectId) -> set[ObjectId]:
        """By a way of its own: all that a root catalog leads to."""
        found, waiting = set(), [(root, b"")]
        objects = PlainObjects(DirectoryObjects(self.server.places.storage), self.server.places.spool)
        while waiting:
            name, path = waiting.pop()
            found.add(name)
            with open(objects.open(Want(name)), "rb") as file:
                catalog = CatalogFile.open(file.fileno(), path)
                waiting += [(ref.id, ref.path) for ref in catalog.nested()]
                for entry, key, _ in catalog.entries():
                    found |= {entry.content} if entry.content is not None else set()
                    found |= {entry.chunk_id(chunk) for chunk in catalog.chunks(key)}
                catalog.close()
        return found

    def check(self) -> None:
        tags = self.server.tags()
        assert {name: (tag.revision, tag.branch) for name, tag in tags.items()} == {
            name: (tag.revision, tag.branch) for name, tag in self.model.tags.items()
        }
        objects = PlainObjects(DirectoryObjects(self.server.places.storage), self.server.places.spool)
        for name, tag in tags.items():
            with Revision(tag.root, objects, tag.size) as revision:
                shown: Tree = {}
                for path, entry in walk(revision):
                    if entry.is_regular:
                        with revision.content(path) as content:
                            shown[path.decode()[1:]] = content.pread(0, content.size).decode()
            assert shown == self.model.tags[name].tree, name
        faults: list[str] = []
        RepositoryCheck(
            self.keeper(), Scope(integrity=True), lambda path, what: faults.append(f"{path!r}: {what}")
        ).run(self.server.fqrn)
        assert faults == []


@pytest.mark.parametrize("seed", range(3))
def test_what_has_a_name_stays_readable_and_what_has_none_goes(seed: int, tmp_path: Path) -> None:
    world = World(tmp_path, seed)
    steps = [world.publish, world.publish, world.tag, world.untag, world.roll_back, world.branch, world.collect]
    world.publish()
    for number in range(12):
        world.random.choice(steps)()
        if number % 3 == 2:
            world.check()
    world.collect()
    world.check()
