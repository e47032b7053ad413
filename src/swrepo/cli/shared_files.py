"""Writes what is installed below `share`: manual pages and completions (`make docs`); a test holds them current."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from swrepo.cli import completion, manual
from swrepo.cli.programs import programs

_COLUMNS = "1000"
"""No line of a usage is broken here; who formats a page does that."""


def shared_files() -> dict[str, str]:
    """File name below `share` -> text."""
    os.environ["COLUMNS"] = _COLUMNS
    found = programs()
    pages = {f"man/{name}": text for name, text in manual.pages(found).items()}
    return pages | {f"bash-completion/completions/{name}": text for name, text in completion.scripts(found).items()}


def write(directory: Path) -> None:
    """Write all of them, and remove pages of commands that are no more."""
    files = shared_files()
    for old in directory.glob("*/*/*"):
        if str(old.relative_to(directory)) not in files:
            old.unlink()
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
