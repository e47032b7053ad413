"""CVMFS_NOTIFICATION_SERVER: a new revision is shown as soon as it is announced, and only if it may be believed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from swrepo.format import envelope, manifest
from swrepo.format.announcement import Announcement
from swrepo.format.wellknown import MANIFEST
from tests.announcer import Announcer, announcing
from tests.mount.mounted import Mount, mounted, wait_until
from tests.mount.test_refresh import FIRST, NESTED, Served, second

pytestmark = pytest.mark.mount


class Announced(Served):
    """A repository that is announced."""

    def __init__(self, directory: Path, announcer: Announcer) -> None:
        super().__init__(directory)
        self.announcer = announcer
        self.publish(FIRST)

    @property
    def fqrn(self) -> str:
        return self.simulator.fqrn

    @property
    def manifest(self) -> Path:
        return self.directory / self.fqrn / MANIFEST

    def announce(self, signed: bytes | None = None) -> None:
        message = Announcement(self.fqrn, self.manifest.read_bytes() if signed is None else signed)
        self.announcer.tell(self.fqrn, message.encode())

    def request(self) -> dict:
        return {**super().request(), "announcer": self.announcer.url}


@pytest.fixture
def announcer() -> Iterator[Announcer]:
    with announcing() as found:
        yield found


@pytest.fixture
def served(tmp_path: Path, announcer: Announcer) -> Announced:
    return Announced(tmp_path, announcer)


def revision(mount: Mount) -> int:
    return int(mount.ask("revision"))


def test_it_is_shown_at_once(served: Announced, announcer: Announcer, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        wait_until(lambda: announcer.listeners == 1)
        assert announcer.asked == [{"path": "/api/v1/notifications/subscribe", "version": 1, "repository": served.fqrn}]
        assert (mount.point / "changed").read_bytes() == b"old bytes"
        served.publish(second())

        served.announce()

        wait_until(lambda: revision(mount) == 3)
        assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"
        served.announce()  # the same again is no news
        served.publish(FIRST)
        served.announce()
        wait_until(lambda: revision(mount) == 4)


def test_a_server_that_does_not_know_of_it_yet_does_not_take_it_back(served: Announced, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        before = served.manifest.read_bytes()
        served.publish(second())
        served.announce()
        wait_until(lambda: revision(mount) == 3)
        after = served.manifest.read_bytes()
        served.manifest.write_bytes(before)  # as a proxy keeps it for a minute

        assert mount.ask("remount sync") == "revision 3 is the newest"
        assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"

    with mounted(tmp_path, **served.request()) as mount:  # nothing was noted that would make this a rollback
        wait_until(lambda: revision(mount) == 3)
        served.manifest.write_bytes(after)
        served.publish(FIRST)
        assert mount.ask("remount sync") == "revision 4 follows 3"


def test_one_that_comes_before_its_objects_is_shown_when_they_are_there(served: Announced, tmp_path: Path) -> None:
    with mounted(tmp_path, **served.request()) as mount:
        replica = served.directory / served.fqrn
        copy = tmp_path / "copy"
        shutil.copytree(replica, copy)
        served.publish(second())
        signed = served.manifest.read_bytes()
        replica.rename(tmp_path / "new")
        copy.rename(replica)  # a replica that has not been synchronized yet

        served.announce(signed)
        wait_until(lambda: "trying again" in mount.log.read_text())
        assert revision(mount) == 2
        shutil.copytree(tmp_path / "new" / "data", replica / "data", dirs_exist_ok=True)

        wait_until(lambda: revision(mount) == 3)
        assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"


def test_nothing_is_shown_that_its_owner_did_not_sign(served: Announced, tmp_path: Path) -> None:
    with mounted(tmp_path, expected=("is not believed", "is not understood"), **served.request()) as mount:
        published = served.manifest.read_bytes()
        served.publish(second())
        genuine = served.manifest.read_bytes()
        served.simulator.sign_manifest(by=2)
        served.simulator.save(served.directory)
        forged = served.manifest.read_bytes()

        for number, bad in enumerate((forged, genuine.replace(b"\nS3\n", b"\nS4\n"), b"no manifest"), 1):
            served.announce(bad)
            wait_until(lambda number=number: mount.log.read_text().count("is not believed") == number)
        served.announcer.tell(served.fqrn, b"no message")
        wait_until(lambda: "is not understood" in mount.log.read_text())
        served.announcer.tell(served.fqrn, Announcement("other.example.org", genuine).encode())
        served.announce(published)
        assert revision(mount) == 2

        served.announce(genuine)
        wait_until(lambda: revision(mount) == 3)


def test_a_server_that_comes_and_goes_is_asked_again(served: Announced, announcer: Announcer, tmp_path: Path) -> None:
    announcer.stop()
    with mounted(tmp_path, expected=("no notifications",), **served.request()) as mount:
        wait_until(lambda: "no notifications" in mount.log.read_text())
        assert (mount.point / "changed").read_bytes() == b"old bytes"
        for number in (3, 4):
            announcer.start()
            served.publish(second() if number == 3 else FIRST)
            served.announce()
            wait_until(lambda number=number: revision(mount) == number)
            announcer.stop()
        served.publish(second())
        assert mount.ask("remount sync") == "revision 5 follows 4"
        assert (mount.point / "changed").read_bytes() == b"new bytes, more of them"
        announcer.start()


def test_a_fixed_revision_stays_and_nobody_listens(served: Announced, announcer: Announcer, tmp_path: Path) -> None:
    root = manifest.parse(envelope.split(served.manifest.read_bytes()).body).root_catalog
    with mounted(tmp_path, **{**served.request(), "root_hash": root.text}) as mount:
        assert "fixed" in mount.ask("remount sync")
        assert announcer.listeners == 0


def test_each_repository_of_one_mount_is_heard_of_once_it_is_in_use(tmp_path: Path, announcer: Announcer) -> None:
    served = Announced(tmp_path, announcer)
    cache = str(tmp_path / "shared")
    repositories = {served.fqrn: {**served.request(), "cache": cache}}
    with mounted(tmp_path, repositories=repositories) as mount:
        point = mount.point / served.fqrn
        assert announcer.listeners == 0
        assert (point / "changed").read_bytes() == b"old bytes"
        wait_until(lambda: announcer.listeners == 1)
        served.publish(second(), NESTED)
        served.announce()
        wait_until(lambda: (point / "changed").read_bytes() == b"new bytes, more of them")
