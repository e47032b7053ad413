"""How long a program takes that was never run here, over links of every length; `make bench-coldstart`.

    python -m benchmarks.coldstart [--full] [--program NAME]... [--client NAME]... [--rtt MS]... [--mbit N]...

Each program is published with a profile, served on loopback and mounted behind a relay that has a round trip and a
bandwidth, each time with an empty cache; the best of up to three counts. Clients: `original` (where it is there, see
`benchmarks.coldstart.clients`); ours with `no prefetch`; with `no profile`; with the `profile` and its packs.
`mount` and `run` are seconds, `MB` came over the link; `waste` is what of it was more than the program needs (what a
mount that fetches nothing ahead brings). `limit` is the time of these bytes at that bandwidth, five round trips, and
the run with everything in the cache, one after another. `busy` is the seconds of processor time that the whole machine
used meanwhile, and `load` its load: where they are high, others were at work.

The quick mode measures what the table of targets needs, 100 ms with 100 Mbit/s and 1 ms with 1 Gbit/s, and prints it;
--full all round trips and bandwidths. Results are added to a JSON file (--json), the plot (--plot) is made from it.
What is published is kept (--place) and used again by the next run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.coldstart import clients as them
from benchmarks.coldstart import measure
from benchmarks.coldstart.crowd import CLIENTS, crowd
from benchmarks.coldstart.plot import plot
from benchmarks.coldstart.programs import PROGRAMS, Published, publish
from benchmarks.coldstart.results import Results, Row
from benchmarks.coldstart.verdicts import FAR, LAN, verdicts
from benchmarks.reading.clients import Client
from benchmarks.reading.serving import served

RTTS = (1.0, 14.0, 84.0, 100.0, 200.0)
MBITS = (100.0, 1000.0)
_BUILD = Path("build/coldstart")
_QUICK, _FULL = 8.0, 60.0
"""Seconds up to which a cold start is measured once more."""

_CROWDED = "node"


def main() -> None:
    arguments = _arguments()
    start = time.perf_counter()
    results = Results.read(arguments.json)
    place = arguments.place.absolute()
    (place / "srv" / "cvmfs").mkdir(parents=True, exist_ok=True)
    measured = Results()
    with tempfile.TemporaryDirectory(prefix="swrepo-bench-") as folder:
        scratch = Path(folder)
        for name in arguments.program or PROGRAMS:
            print(f"{name}: {PROGRAMS[name].title}", flush=True)
            published = publish(PROGRAMS[name], place, arguments.scale)
            if published is None:
                print("  left out: this machine has not got what it is made of")
                continue
            with served(published.storage.parent, scratch / "http") as (url, _):
                _measure(published, url.split("/")[2], arguments, scratch, (results, measured))
            results.write(arguments.json)
    arguments.plot.write_text(plot(results), "utf-8")
    print(
        f"targets, at {FAR[0]:.0f} ms with {FAR[1]:.0f} Mbit/s, on a LAN at {LAN[0]:.0f} ms with {LAN[1]:.0f} Mbit/s:"
    )
    for verdict in verdicts(measured):
        print(verdict)
    print(f"{arguments.json} has the figures, {arguments.plot} the plot; {time.perf_counter() - start:.0f} s in all")


def _measure(
    published: Published, server: str, arguments: argparse.Namespace, scratch: Path, into: tuple[Results, Results]
) -> None:
    needed = measure.needs(published, server, scratch)
    for results in into:
        results.needs[published.name] = needed
    print(f"  needs {needed.received / 1e6:.1f} MB in {needed.requests} requests; warm {needed.warm:.2f} s")
    print(
        f"  {'rtt':>5} {'Mbit/s':>6} {'client':12} {'mount':>6} {'run':>7} {'requests':>8} {'MB':>6} "
        f"{'waste':>6} {'limit':>6} {'x limit':>7} {'busy':>5} {'load':>5}"
    )
    for rtt, mbit, client in _cells(published, arguments):
        row = measure.best(client, published, server, rtt, mbit, scratch, _FULL if arguments.full else _QUICK)
        for results in into:
            results.add(row)
        _show(row, into[0])
    if published.name == _CROWDED and not (arguments.rtt or arguments.mbit or arguments.client):
        found = crowd(published, server, *FAR, scratch)
        if found is not None:
            for results in into:
                results.repeated = found.repeated
            print(
                f"  {CLIENTS} at once through one proxy: {found.requests} requests to the server, {found.seconds:.1f} s"
            )


def _cells(published: Published, arguments: argparse.Namespace) -> Iterator[tuple[float, float, Client]]:
    """What is measured: of links, clients and how they go together."""
    is_chosen = arguments.rtt or arguments.mbit
    if arguments.full or is_chosen:
        links = [(rtt, mbit) for mbit in arguments.mbit or MBITS for rtt in arguments.rtt or RTTS]
    else:
        links = [FAR, LAN] if published.program.has_profile else [FAR]
    for rtt, mbit in links:
        names = [name for name in them.NAMES if name != them.PROFILE or published.program.has_profile]
        if not arguments.full and not is_chosen:
            # Reading one after another takes as long as the original; it is measured where no target has that.
            names.remove(them.ORIGINAL if published.program.is_guesswork and (rtt, mbit) == FAR else them.PLAIN)
        for client in them.clients([name for name in arguments.client or names if name in names]):
            yield rtt, mbit, client


def _show(row: Row, results: Results) -> None:
    limit = results.needs[row.program].limit(row.rtt, row.mbit)
    print(
        f"  {row.rtt:5.0f} {row.mbit:6.0f} {row.client:12} {row.mount:6.2f} {row.run:7.2f} {row.requests:8} "
        f"{row.received / 1e6:6.1f} {results.waste(row):6.0%} {limit:6.2f} {results.to_limit(row):7.2f} "
        f"{row.processor:5.1f} {row.load:5.1f}  {row.ahead}",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", choices=PROGRAMS, help="only this program (may be repeated)")
    parser.add_argument("--client", action="append", choices=them.NAMES, help="only this client (may be repeated)")
    parser.add_argument("--rtt", action="append", type=float, metavar="MS", help="only this round trip (repeatable)")
    parser.add_argument("--mbit", action="append", type=float, metavar="N", help="only this bandwidth (repeatable)")
    parser.add_argument("--full", action="store_true", help="all links and clients (two hours), not what targets need")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the trees, 1 is the real one")
    parser.add_argument("--place", type=Path, default=_BUILD / "server", help="where repositories are kept")
    parser.add_argument("--json", type=Path, default=_BUILD / "results.json", help="results, added to what is there")
    parser.add_argument("--plot", type=Path, default=_BUILD / "cold-start.svg", help="where the plot is written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
