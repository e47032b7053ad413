"""Sets the stage, plays the story, shows the last table. Exit code 0 only where every step printed what it must."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from rich.table import Table

from demo import python_tree, story
from demo.evidence import Fetched, Tree
from demo.machine import ROOT, CannotRun, Isolation, Machine
from demo.terminal import StepFailed, Terminal

RUNS = ROOT / ".demo"
"""Each run has a directory of its own here, named by its process."""


def main() -> int:
    """Run the demo; `--short` leaves out the Python installation."""
    terminal = Terminal()
    try:
        isolation = Isolation.available()
        return _play(terminal, isolation, short="--short" in sys.argv[1:])
    except CannotRun as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except StepFailed as error:
        print(f"\ndemo: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _play(terminal: Terminal, isolation: Isolation, *, short: bool) -> int:
    _introduce(terminal, isolation)
    began = time.monotonic()
    work = RUNS / str(os.getpid())
    for left in RUNS.iterdir() if RUNS.is_dir() else ():
        if not Path("/proc", left.name).exists():
            _clear(left)
    work.mkdir(parents=True)
    _adopt_orphans()
    machines: list[Machine] = []
    try:
        machines.append(Machine("server", work / "server", isolation))
        machines.append(Machine("client", work / "client", isolation))
        stage = story.Stage(machines[0], machines[1], _free_port(), terminal)
        story.publish_sample(stage)
        story.use_sample(stage)
        story.add_application(stage)
        table = None if short else _real_application(stage, work / "python")
        story.finish(stage)
    finally:
        for machine in machines:
            machine.stop()
        _end_orphans()
    if table is not None:
        terminal.console.print(table)
    terminal.say(f"All of it worked, in {time.monotonic() - began:.0f} s.")
    _clear(work)
    return 0


def _introduce(terminal: Terminal, isolation: Isolation) -> None:
    if isolation.real_ids:
        how = "each in a mount namespace (made by root)"
    else:
        how = "each in a user and mount namespace, in which this user counts as root, and so does 'cvmfs'"
    terminal.say(
        f"Two machines on this one, a server and a client, {how}.\n"
        "Their /cvmfs, /etc/cvmfs, /srv/cvmfs, /var/spool/cvmfs, /var/lib/cvmfs are private; nothing else is changed."
    )


def _real_application(stage: story.Stage, installation: Path) -> Table:
    with stage.terminal.timed("copy a Python, to be published"):
        python_tree.build(installation)
    story.publish_python(stage, installation)
    story.use_python(stage)
    fetched = story.fetched_so_far(stage)
    if fetched.equal != fetched.objects or not fetched.objects:
        raise StepFailed(f"of {fetched.objects} cached objects only {fetched.equal} are what the server has")
    verified = story.verify_python(stage)
    return _table(Tree.of(installation), story.stored(stage), fetched, verified, stage.terminal.times)


def _table(source: Tree, stored: Tree, fetched: Fetched, verified: str, times: list[tuple[str, float]]) -> Table:
    table = Table(title=f"\n{story.PYTHON}", show_header=False, title_justify="left")
    table.add_row("size of the installation", f"{source.files:,} files, {_megabytes(source.size)}")
    table.add_row("stored on the server", f"{stored.files:,} objects, {_megabytes(stored.size)}")
    table.add_row("fetched by the client", f"{fetched.objects:,} objects, {_megabytes(fetched.wire)}")
    share = f"{fetched.objects / stored.files:.1%} of objects, {fetched.wire / stored.size:.1%} of bytes"
    table.add_row("  its share of what is stored", share)
    table.add_row("  the same as the server's", f"{fetched.equal:,} of {fetched.objects:,} objects, byte for byte")
    table.add_row("verified at the end", verified)
    table.add_section()
    for step, seconds in times:
        table.add_row(step, f"{seconds:.2f} s")
    return table


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _clear(directory: Path) -> None:
    """Remove what an earlier run left; directories that cannot be written are no obstacle."""

    def open_and_retry(function: object, path: str, _error: object) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        assert callable(function)  # noqa: S101 - rmtree's own
        function(path)

    if directory.exists():
        shutil.rmtree(directory, onerror=open_and_retry)


def _adopt_orphans() -> None:
    """Become the parent of every background process of the machines, to be able to end them all."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def _end_orphans() -> None:
    """End what the machines left in the background: politely, then for good. Their namespaces go with them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        while _children() and time.monotonic() < deadline:
            for child in _children():
                _signal(child, number)
            _reap()
            time.sleep(0.05)


def _children() -> list[int]:
    return [int(word) for word in Path("/proc/self/task", str(os.getpid()), "children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main())
