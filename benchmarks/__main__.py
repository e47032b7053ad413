"""Runs the benchmarks, all or those that are named: `python -m benchmarks [NAME]...` (`make bench ARGS=catalogs`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
_SHORT = {"client": ("--scale", "0.1"), "publish": ("--scale", "0.1")}
"""Arguments of those that take long; `make bench-client` and `make bench-publish` run these whole."""


def main(names: list[str]) -> int:
    """Run each as a program of its own; 0 where all ended well."""
    known = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    if unknown := sorted(set(names) - set(known)):
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *_SHORT.get(name, ())]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
