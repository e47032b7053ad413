"""What an opened file names is fetched over a long link, and what that names: on a real mount, with a server that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mount.mounted import mounted, wait_until
from tests.mount.test_neighbours import ahead, far, fetched, objects_of, read  # noqa: F401 - a fixture among them
from tests.mount.test_profiles import over_network
from tests.mount.test_reading import Server, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served
from tests.simulated_trees import File

pytestmark = pytest.mark.mount

COUNT = 12
CHAIN = [b"/inc/d%02d/h%02d.h" % (number, number) for number in range(COUNT)]
"""Each names the next, in a directory of its own: nothing but its text tells of it."""


def text(number: int) -> bytes:
    following = CHAIN[number + 1][len(b"/inc/") :] if number + 1 < COUNT else b"nowhere.h"
    return b'#include "../%s"\n// %d\n' % (following, number)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    found = Served(tmp_path)
    files = {path: File(content=text(number)) for number, path in enumerate(CHAIN)}
    first = {b"/first%d" % number: File(content=b"first %d" % number) for number in range(4)}
    found.publish(files | first, ())
    return found


def test_a_chain_of_files_that_name_each_other_is_followed_before_anybody_walks_down_it(
    served: Served,
    far: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, **over_network(served, far, tmp_path)) as mount:
        for number in range(4):  # only then is it known how far away the server is
            read(mount, b"/first%d" % number)
        assert read(mount, CHAIN[0]) == text(0)
        wait_until(lambda: fetched(mount, "named") == COUNT - 1)
        far.requests.clear()
        assert [read(mount, path) for path in CHAIN] == [text(number) for number in range(COUNT)]
        assert objects_of(far) == []
        assert ahead(mount)["ahead named used"] == COUNT - 1
        assert ahead(mount)["ahead named wasted"] == 0


def test_nothing_is_named_for_a_mount_that_is_told_to_guess_nothing(
    served: Served,
    far: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    with mounted(tmp_path, guesses=False, **over_network(served, far, tmp_path)) as mount:
        for number in range(4):
            read(mount, b"/first%d" % number)
        far.requests.clear()
        assert [read(mount, path) for path in CHAIN[:3]] == [text(number) for number in range(3)]
        assert len(objects_of(far)) == 3
