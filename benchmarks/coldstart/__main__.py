"""How long a program takes that was never run here, over links of every length; `make bench-coldstart`.

    python -m benchmarks.coldstart [--program NAME]... [--rtt MS]... [--mbit N]... [--scale 0.1] [--place DIR]

Each program is published, served on loopback and mounted behind a relay that has a round trip and a bandwidth, each
time with an empty cache. `mount` and `run` are seconds; `MB` came over the link; `waste` is what of it was more than
the program needs (what a mount that fetches nothing ahead brings). `limit` is what no client can beat: these bytes at
that bandwidth, five round trips, and the run with everything in the cache. `x limit`: mount and run against that.
With --place the repositories are kept there and used again by the next run. It prints, and never fails for a figure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.coldstart.programs import PROGRAMS, Published, publish
from benchmarks.coldstart.relay import link
from benchmarks.reading.clients import Client, Original, Ours, mounted
from benchmarks.reading.serving import served

ROUND_TRIPS = 5
RTTS = (1.0, 14.0, 84.0, 100.0, 200.0)
MBITS = (100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of mounting and running, seconds of running again, and what came over the link for that."""

    mount: float
    run: float
    warm: float
    requests: int
    received: int
    ahead: str = ""

    @property
    def seconds(self) -> float:
        return self.mount + self.run


def run_once(client: Client, published: Published, server: str, rtt: float, mbit: float, scratch: Path) -> Run:
    """Mount with an empty cache, run, and run again."""
    cache, point = scratch / "cache", scratch / "mnt"
    try:
        with link(server, rtt, mbit) as over:
            begin = time.perf_counter()
            with mounted(client, published, f"http://127.0.0.1:{over.port}/cvmfs", point, cache) as running:  # type: ignore[arg-type]
                mount = time.perf_counter() - begin
                cold = _run(published, point)
                carried = over.carried()
                warm = min(_run(published, point) for _ in range(2))
                ahead = getattr(running, "ahead", lambda: "")()
        return Run(mount, cold, warm, carried.requests, carried.received, ahead)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _run(published: Published, point: Path) -> float:
    program = published.program
    command, environment = program.command(point), {**os.environ, **program.environment(point)}
    begin = time.perf_counter()
    subprocess.run(command, check=True, env=environment, cwd="/", stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def clients(arguments: argparse.Namespace) -> list[Client]:
    """Ours, ours without fetching ahead, and the original where the environment says how it mounts."""
    command = os.environ.get("SWREPO_ORIGINAL_MOUNT")
    found: list[Client] = [Ours()]
    if arguments.without:
        found.append(Ours("swrepo, no prefetch", ("CVMFS_PREFETCH=no",)))
    return [*found, Original(command)] if command else found


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as folder:
        scratch = Path(folder)
        place = arguments.place.absolute() if arguments.place else scratch / "server"
        (place / "srv" / "cvmfs").mkdir(parents=True, exist_ok=True)
        for name in arguments.program or PROGRAMS:
            print(f"{name}: {PROGRAMS[name].title}", flush=True)
            published = publish(PROGRAMS[name], place, arguments.scale)
            if published is None:
                print("  left out: this machine has not got what it is made of")
                continue
            with served(published.storage.parent, scratch / "http") as (url, _):
                _measure(published, url.split("/")[2], arguments, scratch)


def _measure(published: Published, server: str, arguments: argparse.Namespace, scratch: Path) -> None:
    needed = run_once(Ours("swrepo, no prefetch", ("CVMFS_PREFETCH=no",)), published, server, 0.1, 10_000, scratch)
    print(f"  needs {needed.received / 1e6:.1f} MB in {needed.requests} requests; warm {needed.warm:.2f} s")
    print(
        f"  {'rtt':>5} {'Mbit/s':>6} {'client':20} {'mount':>6} {'run':>7} {'requests':>8} {'MB':>6} "
        f"{'waste':>6} {'limit':>6} {'x limit':>7}"
    )
    for mbit in arguments.mbit or MBITS:
        for rtt in arguments.rtt or RTTS:
            limit = needed.received * 8 / mbit / 1e6 + ROUND_TRIPS * rtt / 1000 + needed.warm
            for client in clients(arguments):
                run = run_once(client, published, server, rtt, mbit, scratch)
                waste = run.received / needed.received - 1
                print(
                    f"  {rtt:5.0f} {mbit:6.0f} {client.name:20} {run.mount:6.2f} {run.run:7.2f} {run.requests:8} "
                    f"{run.received / 1e6:6.1f} {waste:6.0%} {limit:6.2f} {run.seconds / limit:7.2f}  {run.ahead}",
                    flush=True,
                )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", choices=PROGRAMS, help="only this program (may be repeated)")
    parser.add_argument("--rtt", action="append", type=float, metavar="MS", help="only this round trip (repeatable)")
    parser.add_argument("--mbit", action="append", type=float, metavar="N", help="only this bandwidth (repeatable)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees, 1 is the real one")
    parser.add_argument("--without", action="store_true", help="measure without fetching ahead, too")
    parser.add_argument("--place", type=Path, help="keep the repositories in this directory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
