"""`swrepo prefetch` beside a mount: while somebody waits for the mount, it asks the server for nothing more."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from swrepo.cli.giving_way import GivesWay
from swrepo.client.access import Access
from swrepo.client.parts import Parts
from swrepo.client.preload import Preloaded, preload
from swrepo.client.request import AccessRequest
from tests.mount.mounted import mounted, wait_until
from tests.mount.test_neighbours import objects_of
from tests.mount.test_profiles import over_network
from tests.mount.test_reading import Server, server  # noqa: F401 - a fixture
from tests.mount.test_refresh import Served
from tests.simulated_trees import File
from tests.simulator import NOW

pytestmark = pytest.mark.mount

PAUSES = 5
FILES = [b"/all/f%03d" % number for number in range(40)]


def test_while_somebody_waits_for_a_mount_no_request_is_sent(
    tmp_path: Path,
    server: Server,  # noqa: F811
) -> None:
    served = Served(tmp_path)
    served.publish({path: File(content=path * 50) for path in (*FILES, b"/wanted")}, ())
    pauses, paused, moment = [0], threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        pauses[0] += 1
        if pauses[0] == PAUSES:
            paused.set()
        moment.wait(seconds)

    with (
        mounted(tmp_path, **over_network(served, server, tmp_path)) as mount,
        Access(request(served, server)) as access,
    ):
        server.go.clear()  # from now on no answer comes
        before = len(objects_of(server))
        with subprocess.Popen(["cat", str(mount.point / "wanted")], stdout=subprocess.PIPE) as reader:
            wait_until(lambda: mount.ask("quiet") == "0.000")
            way = GivesWay(lambda: [tmp_path / "control" / f"cvmfs_io.{access.fqrn}"], pause=pause)
            filled: list[Preloaded] = []
            filling = threading.Thread(
                target=lambda: filled.append(preload(access, Parts.below(b"/all"), give_way=way.wait))
            )
            filling.start()
            assert paused.wait(60)
            assert len(objects_of(server)) == before + 1, "that of the reader, and no other"
            server.go.set()
            assert reader.communicate()[0] == b"/wanted" * 50
            filling.join()
        assert filled[0].is_complete
        assert len(objects_of(server)) >= before + 1 + len(FILES)


def request(served: Served, server: Server) -> AccessRequest:  # noqa: F811
    fqrn = served.simulator.fqrn
    cache = served.directory.parent / "other"
    return AccessRequest((f"{server.url}/{fqrn}",), (served.key,), cache, fqrn, clock=lambda: NOW)
