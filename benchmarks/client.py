"""The client as a file system: the table of its targets, beside the plain directory and the original.

    python -m benchmarks.client [--tree NAME]... [--row WORDS]... [--scale 0.1] [--place DIR]

Phases: `cold`: the first use after a mount with an empty cache, from an HTTP server on loopback; `first`: after a mount
with a full cache; `repeated`: once more on the same mount. Each row has mounts of its own. All ratios are within this
run; the plain directory is in the page cache throughout. `requests` are those that reached our process (without FORGET
and STATFS), `MB` is its resident memory afterwards, `cpu` the seconds of processor time that it used: on a busy machine
they tell more than the clock. How the original takes part: `benchmarks.reading.clients`.
With --place the trees are kept there and used again by the next run. It prints, and never fails for a figure.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.reading import trees
from benchmarks.reading.clients import clients
from benchmarks.reading.measuring import Measuring
from benchmarks.reading.serving import served
from benchmarks.reading.table import Line, summary


def main() -> None:
    arguments = _arguments()
    start = time.perf_counter()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as folder:
        scratch = Path(folder)
        place = arguments.place.absolute() if arguments.place else scratch / "server"
        nursery = trees.Nursery(place, arguments.scale)
        nursery.layout.served.mkdir(parents=True, exist_ok=True)
        with served(nursery.layout.served, scratch / "http") as (url, server):
            present = clients()
            print(f"server: {server} on loopback; clients: {', '.join(client.name for client in present)}", flush=True)
            for name in arguments.tree or trees.NAMES:
                measuring = Measuring(nursery.tree(name), url, present, scratch)
                lines += measuring.rows(arguments.row)
    summary(lines)
    print(f"{time.perf_counter() - start:.0f} s in all")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", action="append", choices=trees.NAMES, help="only this tree (may be repeated)")
    parser.add_argument("--row", action="append", metavar="WORDS", help="only rows whose name has these words")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees, 1 is the real one")
    parser.add_argument("--place", type=Path, help="keep the trees in this directory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
