"""Runs the test drive: `python -m testdrive IMAGES [--accelerator tcg] [--transcript FILE]`.

IMAGES is a directory with swrepo-server.qcow2, swrepo-client.qcow2 and swrepo-worker.qcow2 (`make image`).
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from demo.terminal import StepFailed, Terminal
from swrepo.errors import SwrepoError
from testdrive import story
from testdrive.drive import Drive

_GROUP = "230.0.0.77"
_HEAD = """\
# The test drive in virtual machines

Written by `make testdrive-vm ARGS='--transcript docs/testdrive.md'`: what was typed over ssh, and what it printed.
`client#` is whoever ssh lets in (`debian`), `guest@client#` what one becomes there by `su - guest`, `cvmfs@server#` by
`sudo su - cvmfs`. A step whose output is not what it must be ends the drive, and writes nothing here.
"""


def main() -> int:
    """Exit code 0 only where every step printed what it must."""
    arguments = _arguments()
    terminal, began = Terminal(), time.monotonic()
    if arguments.transcript:
        terminal.console.record = True
    images = {role: arguments.images / f"swrepo-{role}.qcow2" for role in ("server", "client", "worker")}
    with tempfile.TemporaryDirectory(prefix="swrepo-testdrive-") as folder:
        drive = Drive(images, Path(folder), arguments.accelerator, terminal, _free_switch())
        try:
            story.play(drive)
        except (StepFailed, SwrepoError) as error:
            print(f"\ntest drive: FAILED: {error}", file=sys.stderr)
            return 1
        finally:
            drive.stop()
    _show_times(terminal, images, time.monotonic() - began)
    if arguments.transcript:
        arguments.transcript.write_text(_page(terminal.console.export_text()), "utf-8")
    return 0


def _show_times(terminal: Terminal, images: dict[str, Path], seconds: float) -> None:
    table = Table(title=f"\nAll of it worked, in {seconds:.0f} s", show_header=False, title_justify="left")
    for role, image in images.items():
        table.add_row(f"image of a {role}", f"{image.stat().st_size / 1e6:.0f} MB")
    table.add_section()
    for step, spent in terminal.times:
        table.add_row(step, f"{spent:.1f} s")
    terminal.console.print(table)


def _free_switch() -> str:
    """Machines of another drive have the same addresses; they must not meet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((_GROUP, 0))
        return f"{_GROUP}:{probe.getsockname()[1]}"


def _page(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"{_HEAD}\n```text\n{lines}\n```\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--accelerator", default="auto", help="auto, kvm or tcg")
    parser.add_argument("--transcript", type=Path, help="write what was typed and printed to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
