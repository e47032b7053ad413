"""Programs end without being taken apart, and nothing that they wrote or promised is lost by that."""

from __future__ import annotations

import subprocess
import sys

import pytest


def ran(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)


def test_the_exit_code_what_was_written_and_what_was_promised_are_there() -> None:
    done = ran("""
import atexit, sys
from swrepo.system.leaving import leave
class Told:
    def __del__(self): print("taken apart")
told = Told()
atexit.register(lambda: print("promised"))
print("written", end=" ")
print("complained", file=sys.stderr)
leave(7)
print("came back")
""")
    assert (done.returncode, done.stdout, done.stderr) == (7, "written promised\n", "complained\n")


@pytest.mark.parametrize(
    "before",
    [
        "import threading; on = threading.Event(); threading.Thread(target=on.wait).start()",
        "on = None; sys.setprofile(lambda *_: None)",
        "on = None; sys.settrace(lambda *_: None)",
        "on = None; sys.stdout.close()",
    ],
)
def test_who_waits_for_the_end_sees_it(before: str) -> None:
    done = ran(f"""
import sys
from swrepo.system.leaving import leave
{before}
code = leave(3)
if on is not None: on.set()
print("came back", code, file=sys.stderr)
""")
    assert "came back 3" in done.stderr


def test_a_program_ends_there_and_a_command_that_is_called_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    from swrepo.cli.cvmfs_server import main

    assert main(["nothing"]) != 0
    assert "there is no command" in capsys.readouterr().err
    done = ran("""
import sys
sys.argv = ["cvmfs_server", "nothing"]
from swrepo.cli.cvmfs_server import main
main()
print("came back")
""")
    assert (done.returncode, done.stdout) == (main(["nothing"]), "")
    assert "there is no command" in done.stderr
