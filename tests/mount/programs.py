"""Our programs, run as a user would on a machine that is a directory (SWREPO_PREFIX)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


class Programs:
    """`shown` is the last run, with its output."""

    shown: subprocess.CompletedProcess[str]

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix

    def run(self, program: str, *words: object, code: int = 0, stdin: str | None = None, **more: str) -> str:
        """Run it, check the exit code, and give what it wrote to standard output."""
        self.shown = subprocess.run(
            [PROGRAMS / program, *map(str, words)],
            env={"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(self.prefix), **more},
            capture_output=True,
            text=True,
            input=stdin or "",
            timeout=60,
            check=False,
        )
        assert self.shown.returncode == code, f"{self.shown.returncode}: {self.shown.stdout}{self.shown.stderr}"
        return self.shown.stdout
