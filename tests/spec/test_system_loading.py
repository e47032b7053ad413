"""Programs load without looking for garbage; whoever calls us from Python is left alone."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from swrepo.cli.main import main
from swrepo.system.loading import loaded


def told_by(program: str) -> list[str]:
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return ran.stdout.split()


def test_what_was_loaded_is_never_looked_through_and_then_garbage_is_found_again() -> None:
    program = """
import gc
from swrepo.system.loading import begin_loading, loaded
begin_loading()
print(gc.isenabled(), gc.get_freeze_count() > 0)
loaded()
print(gc.isenabled(), gc.get_freeze_count() > 0)
class Ring: pass
ring = Ring()
ring.self = ring
del ring
print(gc.collect() > 0)
"""
    assert told_by(program) == ["False", "False", "True", "True", "True"]


def test_a_command_runs_with_garbage_collected() -> None:
    program = """
import gc, sys
sys.argv = ["swrepo", "config", "explain", "CVMFS_TIMEOUT"]
from swrepo.cli import main
before = main.run_command
def run(*words):
    code = before(*words)
    print(gc.isenabled(), gc.get_freeze_count() > 0, code)
    return code
main.run_command = run
main.main()
"""
    assert told_by(program)[-3:] == ["True", "True", "0"]


def test_who_calls_a_command_from_python_decides_on_its_own_garbage(capsys: pytest.CaptureFixture[str]) -> None:
    frozen = gc.get_freeze_count()
    assert main(["--version"]) == 0
    loaded()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    assert "swrepo" in capsys.readouterr().out
