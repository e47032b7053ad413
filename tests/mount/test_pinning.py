"""One revision for good: by tag, by date or by root hash, given as an option, a parameter, or in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swrepo.errors import ConfigError, NotFound, UsageError
from swrepo.fuse.mount import mounted_at, umount
from tests.mount.mounted import require_fuse
from tests.publishing import Server

pytestmark = pytest.mark.mount

PROGRAM = Path(sys.executable).with_name("swrepo")


class Revisions:
    """A server with the revisions v1, v2 and v3."""

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory)
        for tag in ("v1", "v2", "v3"):
            self.publish(tag, f"content of {tag}")

    def publish(self, tag: str, text: str) -> None:
        (self.server.tree / "file").write_text(text)
        self.server.publish(tag)

    def date(self, tag: str, seconds: int = 0) -> str:
        """When a tag was made, as an option has it."""
        moment = datetime.fromtimestamp(self.server.tags()[tag].timestamp + seconds, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def fill_in(self, option: str) -> str:
        return option.format(
            hash=self.server.tags()["v2"].root.text,
            at=self.date("v2"),
            later=self.date("v2", 1800),
            before=self.date("v3", -1),
            early=self.date("v1", -1),
        )


class World:
    """A client of its own, and a server."""

    def __init__(self, directory: Path, revisions: Revisions) -> None:
        self.revisions = revisions
        self.client = directory / "client"
        self.point = directory / "mnt"
        self.point.mkdir()

    def configure(self, line: str) -> None:
        place = self.client / "etc/cvmfs"
        place.mkdir(parents=True)
        (place / "default.local").write_text(line + "\n")

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(self.client)}
        return subprocess.run(
            [PROGRAM, *map(str, words)], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def mount(self, *options: str) -> subprocess.CompletedProcess[str]:
        words = [word for option in options for word in ("-o", option)]
        places = self.revisions.server.places
        return self.run("mount", places.storage.as_uri(), self.point, "--key", places.keys.public, *words)

    def shown(self) -> str:
        """The file, as another program reads it."""
        return subprocess.run(["cat", self.point / "file"], check=True, capture_output=True, text=True).stdout


@contextmanager
def world_in(directory: Path, revisions: Revisions) -> Iterator[World]:
    require_fuse()
    found = World(directory, revisions)
    try:
        yield found
    finally:
        if mounted_at(str(found.point)) is not None:
            umount(str(found.point), lazy=True)


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Revisions:
    return Revisions(tmp_path_factory.mktemp("server") / "server")


@pytest.fixture
def world(tmp_path: Path, revisions: Revisions):
    with world_in(tmp_path, revisions) as found:
        yield found


CHOICES = ["tag=v2", "hash={hash}", "root_hash={hash}", "date={at}", "date={later}", "date={before}"]
PARAMETERS = ["CVMFS_REPOSITORY_TAG=v2", "CVMFS_ROOT_HASH={hash}", "CVMFS_REPOSITORY_DATE={at}"]


@pytest.mark.parametrize("option", [*CHOICES, *PARAMETERS])
def test_a_mount_of_one_revision_stays_at_it(world: World, option: str) -> None:
    assert world.mount(world.revisions.fill_in(option)).stderr == ""
    assert world.shown() == "content of v2"

    world.revisions.publish("", option)

    assert world.run("talk", world.point, "remount", "sync").stdout == "fixed at revision 3\n"
    assert world.shown() == "content of v2"


@pytest.mark.parametrize("line", PARAMETERS)
def test_a_configuration_file_can_choose_the_revision(world: World, line: str) -> None:
    world.configure(world.revisions.fill_in(line))
    assert world.mount().stderr == ""
    assert world.shown() == "content of v2"


def test_an_option_wins_over_what_a_file_chooses_by_another_parameter(world: World) -> None:
    world.configure("CVMFS_REPOSITORY_TAG=v1")
    assert world.mount(world.revisions.fill_in("date={at}")).stderr == ""
    assert world.shown() == "content of v2"


def test_a_mount_of_a_tag_stays_where_it_is_when_the_tag_moves_on(tmp_path: Path) -> None:
    with world_in(tmp_path, Revisions(tmp_path / "server")) as world:
        world.mount("tag=trunk")
        world.revisions.publish("", "what trunk stands for now")

        assert world.run("talk", world.point, "remount").stdout == "fixed at revision 4\n"
        assert world.shown() == "content of v3"


@pytest.mark.parametrize(
    ("option", "complaint", "error"),
    [
        ("tag=v9", "has no tag v9", NotFound),
        ("date={early}", "has no tag as old as", NotFound),
        ("date=yesterday", "is not a time such as", ConfigError),
        ("tag=v1,date={at}", "only one of -o tag", UsageError),
    ],
)
def test_a_revision_that_cannot_be_is_refused_by_name(world: World, option: str, complaint: str, error: type) -> None:
    done = world.mount(world.revisions.fill_in(option))
    assert complaint in done.stderr
    assert done.returncode == error.exit_code
    assert mounted_at(str(world.point)) is None
