"""Nobody waits for ever: every request is answered within its deadline, and only those that get nothing fail."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults import dripping, held, on_objects, silent, stalled
from tests.mount.faulty import LARGE, Site, at_once, end, faulty, tree
from tests.mount.mounted import wait_until

pytestmark = pytest.mark.mount

NEVER = 600.0
"""Seconds of a time limit that must not be what ends a test."""

AT_THE_END = ("the HTTP client was closed",)
"""What still waits when the mount ends fails with that."""


def test_a_request_for_which_nothing_comes_is_eio_when_its_deadline_has_passed(tmp_path) -> None:
    site = Site(tmp_path, tree("file", "known"))
    with faulty(tmp_path, site, expected=("READ of '/file'",), deadline=1, timeout=NEVER) as mount:
        assert mount.is_right("known")
        mount.server.always(on_objects(silent))

        with at_once():
            assert mount.refusal("file") == errno.EIO

        line = mount.log("READ of '/file'")[0]
        assert "nothing came for 1 seconds" in line
        assert site.url in line
        assert mount.is_right("known")


def test_a_transfer_that_stops_half_way_is_eio_and_none_of_it_is_shown(tmp_path) -> None:
    site = Site(tmp_path, tree(large=LARGE))
    with faulty(tmp_path, site, expected=("READ of '/large'",), deadline=1, timeout=NEVER) as mount:
        mount.server.always(on_objects(stalled(1_000_000)))

        assert mount.refusal("large") == errno.EIO

        assert "000 bytes came" in mount.log("READ of '/large'", "nothing came")[0]


def test_a_slow_transfer_outlasts_the_deadline_for_all_who_wait_for_it(tmp_path) -> None:
    site = Site(tmp_path, tree("behind", large=LARGE))
    with faulty(tmp_path, site, deadline=1, timeout=NEVER) as mount:
        mount.server.always(on_objects(dripping(12, 0.25)))  # three seconds
        with ThreadPoolExecutor(5) as readers:
            assert all(readers.map(mount.is_right, ["large"] * 5))
        assert mount.server.count(site.target("large")) == 1


def test_a_request_that_waits_for_a_thread_does_not_fail_while_others_get_on(tmp_path) -> None:
    names = [f"file{number}" for number in range(70)]
    site = Site(tmp_path, tree(*names))
    with faulty(tmp_path, site, deadline=2, timeout=NEVER) as mount:
        mount.server.always(on_objects(dripping(4, 0.25)))  # a second each, three rounds of threads
        with ThreadPoolExecutor(70) as readers:
            assert all(readers.map(mount.is_right, names))


def test_what_is_here_is_shown_at_once_while_many_wait_for_a_black_hole(tmp_path) -> None:
    """More than there are threads and requests that the kernel lets wait in the background."""
    names = [f"file{number}" for number in range(100)]
    nested = ("here", "there")
    site = Site(
        tmp_path,
        tree(*names, *(f"{directory}/inside" for directory in nested), known=LARGE),
        tuple(f"/{directory}".encode() for directory in nested),
    )
    with faulty(tmp_path, site) as mount:  # what is in the cache, but not in the kernel's memory
        assert mount.is_right("known")
        assert mount.is_right("here/inside")
    site.restart_server()
    with faulty(tmp_path, site, expected=AT_THE_END, timeout=NEVER) as mount:
        mount.server.always(on_objects(silent))
        readers = [subprocess.Popen(["cat", mount.path(name)], stdout=subprocess.DEVNULL) for name in names]
        try:
            wait_until(lambda: len(mount.server.requests) > 32)

            with at_once():
                assert mount.is_right("known")
                assert mount.is_right("here/inside")
                assert os.listdir(mount.path("here")) == ["inside"]
                assert sorted(os.listdir(mount.path())) == sorted([*names, *nested, "known"])
                os.stat(mount.path())
                os.statvfs(mount.path())
        finally:
            end(readers)


def test_64_readers_of_different_files_on_a_slow_server_all_get_theirs(tmp_path) -> None:
    names = [f"file{number}" for number in range(64)]
    site = Site(tmp_path, tree(*names))
    go = threading.Event()
    with faulty(tmp_path, site, timeout=NEVER) as mount:
        mount.server.always(on_objects(held(go)))
        with ThreadPoolExecutor(64) as readers:
            outcomes = [readers.submit(mount.is_right, name) for name in names]
            wait_until(lambda: sum(mount.server.count(site.target(name)) for name in names) >= 32)
            go.set()
            assert all(outcome.result(60) for outcome in outcomes)


def test_64_readers_of_one_file_on_a_black_hole_share_one_request_and_all_get_eio(tmp_path) -> None:
    site = Site(tmp_path, tree("file"))
    with faulty(tmp_path, site, expected=("READ of '/file'",), deadline=1, timeout=NEVER) as mount:
        mount.server.always(on_objects(silent))
        with ThreadPoolExecutor(64) as readers, at_once(20):
            assert set(readers.map(mount.refusal, ["file"] * 64)) == {errno.EIO}
        assert mount.server.count(site.target("file")) == 1


def test_an_interrupt_ends_a_reader_at_once(tmp_path) -> None:
    site = Site(tmp_path, tree("file"))
    with faulty(tmp_path, site, expected=AT_THE_END, timeout=NEVER) as mount:
        mount.server.always(on_objects(silent))
        reader = mount.waiting("file")

        with at_once():
            reader.send_signal(signal.SIGINT)
            assert reader.wait(20) == -signal.SIGINT
        assert reader.communicate()[0] == b""


def test_an_interrupt_reaches_a_program_that_handles_it(tmp_path) -> None:
    site = Site(tmp_path, tree("file"))
    script = "import sys\ntry:\n  open(sys.argv[1]).read()\nexcept KeyboardInterrupt:\n  print('interrupted')"
    with faulty(tmp_path, site, expected=AT_THE_END, timeout=NEVER) as mount:
        mount.server.always(on_objects(silent))
        user = subprocess.Popen([sys.executable, "-c", script, mount.path("file")], stdout=subprocess.PIPE)
        wait_until(lambda: mount.server.count(site.target("file")) > 0)

        with at_once():
            user.send_signal(signal.SIGINT)
            assert user.communicate(timeout=20)[0] == b"interrupted\n"


def test_one_reader_that_is_killed_takes_nothing_from_the_others(tmp_path) -> None:
    site = Site(tmp_path, tree(large=LARGE))
    go = threading.Event()
    with faulty(tmp_path, site, timeout=NEVER) as mount:
        mount.server.always(on_objects(held(go)))
        first = mount.waiting("large")
        others = [subprocess.Popen(["cat", mount.path("large")], stdout=subprocess.PIPE) for _ in range(8)]

        first.kill()
        first.communicate(timeout=20)
        go.set()

        assert {other.communicate(timeout=60)[0] == LARGE for other in others} == {True}
        assert [other.returncode for other in others] == [0] * 8
