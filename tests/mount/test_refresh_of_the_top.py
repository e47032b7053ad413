"""The top directory itself changes under a live mount: nothing below it has to change for that to be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.format.paths import ROOT
from tests.mount.mounted import mounted
from tests.mount.test_refresh import FIRST, Served
from tests.simulated_trees import Directory

pytestmark = pytest.mark.mount


def test_another_mode_and_time_of_the_top_directory_are_seen_at_once(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.publish(FIRST)
    with mounted(tmp_path, **served.request()) as mount:
        before = mount.point.stat()
        assert before.st_mode & 0o7777 == 0o755
        served.publish(FIRST | {ROOT: Directory(mode=0o1711, mtime=1_234_567_890)})

        assert mount.ask("remount") == "revision 3 follows 2"

        after = mount.point.stat()
        assert after.st_mode & 0o7777 == 0o1711
        assert after.st_mtime == 1_234_567_890
        assert after.st_ino == before.st_ino
