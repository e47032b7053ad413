"""A server that is gone for a while: what is here stays usable at once, the log says it once, and all is well afterwards."""

from __future__ import annotations

import errno
import os
import signal
import time
from datetime import timedelta

import pytest

from tests.faults import silent, status
from tests.mount.faulty import Site, at_once, faulty, small, tree
from tests.mount.mounted import wait_until
from tests.simulated_trees import File
from tests.simulator import NOW

pytestmark = pytest.mark.mount

KNOWN = ("known", "here/known")
UNKNOWN = ("unknown", "there/unknown")


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path, tree(*KNOWN, *UNKNOWN), (b"/here", b"/there"))


def test_a_server_that_is_killed_and_comes_back(site: Site, tmp_path) -> None:
    expected = ("READ of '/unknown'", "LOOKUP of '/there/unknown'", "stays at its revision")
    with faulty(tmp_path, site, expected=expected) as mount:
        assert all(mount.is_right(name) for name in KNOWN)
        site.kill_server()

        with at_once():
            assert all(mount.is_right(name) for name in KNOWN)
            assert sorted(os.listdir(mount.path())) == ["here", "known", "there", "unknown"]
            assert mount.refusal("unknown") == errno.EIO
            with pytest.raises(OSError) as raised:
                os.stat(mount.path("there/unknown"))
            assert raised.value.errno == errno.EIO
            assert "error: cannot get .cvmfspublished" in mount.mount.ask("remount")

        site.restart_server()
        wait_until(lambda: all(mount.is_right(name) for name in UNKNOWN), 5)
        site.publish(tree(*KNOWN, *UNKNOWN, "new"))
        assert "follows" in mount.mount.ask("remount")
        assert mount.is_right("new")


def test_an_outage_is_one_line_in_the_log_however_often_a_revision_is_looked_for(site: Site, tmp_path) -> None:
    with faulty(tmp_path, site, expected=("stays at its revision",)) as mount:
        pid = int(mount.mount.ask("pid"))
        for behaviour in (None, status(500), silent):
            if behaviour is None:
                site.kill_server()
            mount.server.always(behaviour)
            before = len(mount.server.requests)
            os.kill(pid, signal.SIGHUP)
            if behaviour is None:
                wait_until(lambda: mount.log("stays at its revision"))
                site.restart_server()
                mount.server = site.server
            else:
                wait_until(lambda: len(mount.server.requests) > before)  # noqa: B023 - used at once
        assert len(mount.log("stays at its revision")) == 1
        assert mount.site.url in mount.log("stays at its revision")[0]

        mount.server.always(None)
        wait_until(lambda: _look(pid) or mount.log("can be refreshed again"))

        assert mount.mount.ask("remount") == "revision 2 is the newest"
        assert len(mount.log("stays at its revision")) == 1


def _look(pid: int) -> None:
    os.kill(pid, signal.SIGHUP)
    time.sleep(0.05)


@pytest.mark.parametrize("fault", ["500", "a black hole", "an old manifest", "a torn manifest"])
def test_a_refresh_that_fails_leaves_the_revision_that_is_shown(site: Site, tmp_path, fault: str) -> None:
    with faulty(tmp_path, site) as mount:
        assert mount.is_right("known")
        manifest = site.simulator.documents[".cvmfspublished"]
        site.publish(tree(*KNOWN, "new"))
        newer = site.simulator.documents[".cvmfspublished"]
        if fault == "an old manifest":
            site.simulator.sign_manifest(revision=1, timestamp=int(NOW.timestamp()) - 1000)
        elif fault == "a torn manifest":
            site.simulator.documents[".cvmfspublished"] = newer[:100]
        else:
            mount.server.always({"500": status(500), "a black hole": silent}[fault])

        assert mount.mount.ask("remount").startswith("error: ")

        site.simulator.documents[".cvmfspublished"] = manifest
        mount.server.always(None)
        site.files = dict(tree(*KNOWN, *UNKNOWN))
        assert mount.mount.ask("revision") == "2"
        assert all(mount.is_right(name) for name in KNOWN + UNKNOWN)
        site.simulator.documents[".cvmfspublished"] = newer
        site.files = dict(tree(*KNOWN, "new"))
        assert mount.mount.ask("remount") == "revision 3 follows 2"
        assert mount.is_right("new")


def test_a_new_revision_whose_catalogs_cannot_be_had_is_not_shown(site: Site, tmp_path) -> None:
    with faulty(tmp_path, site) as mount:
        assert all(mount.is_right(name) for name in KNOWN)
        old = site.files
        site.publish(old | {b"/known": File(content=small("changed")), b"/here/known": File(content=small("too"))}, (b"/here", b"/there"))  # fmt: skip
        root = site.document(site.simulator.manifest.root_catalog.path)
        mount.server.next(root, *[status(503)] * 2)

        assert "503" in mount.mount.ask("remount")

        assert mount.mount.ask("revision") == "2"
        new, site.files = site.files, old
        assert all(mount.is_right(name) for name in KNOWN)
        mount.server.next(root)
        site.files = new
        wait_until(lambda: mount.mount.ask("remount") == "revision 3 follows 2", 5)
        assert all(mount.is_right(name) for name in KNOWN)


def test_a_second_server_stands_in_without_anybody_noticing(site: Site, tmp_path) -> None:
    other = Site(tmp_path, site.files)
    other.simulator = site.simulator
    try:
        with faulty(tmp_path, site, urls=[site.url, other.url]) as mount:
            mount.server.always(silent)
            assert all(mount.is_right(name) for name in KNOWN)
            asked = len(mount.server.requests)
            assert all(mount.is_right(name) for name in UNKNOWN)
            assert len(mount.server.requests) == asked, "the silent one is not asked again and again"
            other.kill_server()
            mount.server.always(None)
            site.publish(tree("new"))
            assert "follows" in mount.mount.ask("remount")
            assert mount.is_right("new")
    finally:
        other.kill_server()


def test_a_whitelist_that_expires_under_a_mount_stops_new_revisions_and_nothing_else(site: Site, tmp_path) -> None:
    clock = tmp_path / "clock"
    clock.write_text(NOW.isoformat())
    with faulty(tmp_path, site, clock=str(clock)) as mount:
        assert mount.is_right("known")
        site.publish(tree(*KNOWN, *UNKNOWN, "new"), (b"/here", b"/there"))
        clock.write_text((NOW + timedelta(days=400)).isoformat())

        assert "expired" in mount.mount.ask("remount")

        assert mount.mount.ask("revision") == "2"
        assert all(mount.is_right(name) for name in KNOWN + UNKNOWN)
        clock.write_text(NOW.isoformat())  # and back again
        assert mount.mount.ask("remount") == "revision 3 follows 2"
        assert mount.is_right("new")


def test_a_clock_that_goes_back_harms_nothing(site: Site, tmp_path) -> None:
    clock = tmp_path / "clock"
    clock.write_text(NOW.isoformat())
    with faulty(tmp_path, site, clock=str(clock)) as mount:
        assert mount.is_right("known")
        clock.write_text((NOW - timedelta(days=3650)).isoformat())
        assert "error" not in mount.mount.ask("remount") or mount.mount.ask("revision") == "2"
        assert all(mount.is_right(name) for name in KNOWN + UNKNOWN)
