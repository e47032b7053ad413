"""`make demo`, without its last and long part."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.mount
def test_the_demo_publishes_mounts_runs_and_shows_an_added_application():
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--short"], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "client# /cvmfs/dair.cvmfs.server/Goodbye\nGoodbye from /cvmfs/dair.cvmfs.server\n" in done.stdout
