"""`swrepo trace`: runs a command and writes down what it opened in repositories."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from swrepo.cli import executing
from swrepo.cli.executing import NOT_EXECUTABLE, NOT_FOUND
from swrepo.cli.mounting import find_socket
from swrepo.cli.output import note
from swrepo.cli.places import current
from swrepo.errors import MountFailed, SwrepoError, UsageError
from swrepo.format import opening
from swrepo.mount.control import ask

_FATAL_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a program."""


def trace(args: argparse.Namespace) -> int:
    """Run the command, and give its exit code."""
    with _output(args.output) as path:
        if args.mount is not None:
            socket = find_socket(args.mount, args.cache, current())
            begun = ask(socket, "trace start")
            if begun.startswith("error"):
                raise MountFailed(f"{args.mount} cannot trace: {begun}")
            status = _run(args.command)
            text = ask(socket, "trace stop")
        else:
            with tempfile.TemporaryDirectory(prefix="swrepo-trace-") as directory:
                socket = Path(directory) / "cvmfs_io.trace"
                executing.enter(args, lambda request: replace(request, trace=True, socket=socket))
                status = _run(args.command)
                text = ask(socket, "trace")
        if text.startswith("error: "):
            raise SwrepoError(text.removeprefix("error: "))
        path.write_text(text + "\n" if text else "", "utf-8")
    _tell(text, args.output)
    return status


@contextmanager
def _output(name: str) -> Iterator[Path]:
    """The file, so that a mistake in its name shows before the command has run."""
    path = Path(name)
    try:
        with path.open("a", encoding="utf-8"):
            pass
        yield path
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _tell(text: str, output: str) -> None:
    openings = [one for one in opening.parse(text.splitlines()) if not one.is_catalog]
    paths = {(one.repository, one.path) for one in openings}
    repositories = ", ".join(sorted({one.repository for one in openings}))
    if paths:
        where = f"of {repositories} "
    else:
        where = ""
        note("swrepo trace: the command opened no file of a repository; does it run what lies there?")
    note(f"swrepo trace: {len(paths):,} files {where}were opened; {output} lists them")


def _run(command: Sequence[str]) -> int:
    """Run a command to its end. A signal for us is one for it."""
    try:
        process = subprocess.Popen(list(command))
    except OSError as error:
        note(f"swrepo trace: {command[0]}: {error.strerror}")
        return NOT_FOUND if isinstance(error, (FileNotFoundError, NotADirectoryError)) else NOT_EXECUTABLE
    before = {
        # The terminal sends these to the command too.
        **{number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)},
        **{
            number: signal.signal(number, lambda number, _frame: os.kill(process.pid, number))
            for number in (signal.SIGTERM, signal.SIGHUP)
        },
    }
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else _FATAL_SIGNAL - status
