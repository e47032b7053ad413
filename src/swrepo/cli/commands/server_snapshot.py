"""Bring replicas up to date: fetch what is new at the stratum 0, check it, and show it once all of it is here.

Interrupted, it goes on where it was. With -a all active replicas of a group, one after another, as cron does; what
happened is then in /var/log/cvmfs/snapshots.log, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.errors import Busy, SwrepoError, UsageError

if TYPE_CHECKING:
    from swrepo.publish.layout import ServerLayout
    from swrepo.replica.snapshot import Copied

EXAMPLE = """cvmfs_server snapshot sw.example.org
cvmfs_server snapshot -a -n -g hourly"""

_LOGROTATE = """{file} does not exist, so the logs of 'snapshot -a' would grow for ever.
Create it, or use -n. Suggested:
{logs}/*.log {{
    weekly
    missingok
    notifempty
}}"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repositories", nargs="*", metavar="NAME", help="default: as for the other commands")
    parser.add_argument("-t", dest="no_wait", action="store_true", help="fail where it is replicated already")
    parser.add_argument("-a", dest="all", action="store_true", help="all active replicas of the group")
    every = parser.add_argument_group("with -a")
    every.add_argument("-s", dest="separate", action="store_true", help="a log for each replica")
    every.add_argument("-n", dest="no_logrotate", action="store_true", help="logs need not be rotated")
    every.add_argument("-i", dest="skip_initial", action="store_true", help="not those that were never copied")
    every.add_argument("-g", dest="group", default="", metavar="GROUP", help="the replicas of this group")
    parser.add_argument(
        "--thorough", action="store_true", help="go through catalogs that are here, too, for what is missing below them"
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; the progress as lines of JSON on standard error"
    )


def run(args: argparse.Namespace) -> int:
    from swrepo.cli import server_side

    server = server_side.layout()
    with _ended_orderly():
        if args.all:
            if args.repositories:
                raise UsageError("-a copies all replicas; no name fits with it")
            return _all(server, args)
        for option in ("separate", "no_logrotate", "skip_initial", "group"):
            if getattr(args, option):
                raise UsageError(f"-{option[0]} has a meaning with -a only")
        names = server_side.several(server, args.repositories)
        records, code = [], 0
        for name in names:
            try:
                records.append(_record(name, *_copied(server, name, args)))
            except SwrepoError as error:
                if len(names) == 1:
                    raise
                note(f"swrepo server snapshot: {name}: {error}")
                code = error.exit_code
        if args.json:
            write_json(records)
        return code


def _copied(
    server: ServerLayout, name: str, args: argparse.Namespace, out: IO[str] | None = None
) -> tuple[Copied, float]:
    """Copy one, and say what came of it, to `out` or standard output."""
    from swrepo.replica.snapshot import Snapshot
    from swrepo.upkeep.opening import Keeper

    def say(text: str) -> None:
        if out is not None:
            print(f"{name}: {text}", file=out, flush=True)
        elif not args.json:
            print(f"{name}: {text}", flush=True)

    begin = time.monotonic()
    with Progress(f"replicating {name}", "objects", as_events=args.json, quiet=out is not None) as progress:
        waits = None if args.no_wait or args.all else (lambda owner: say(f"waits until this has ended: {owner}"))
        done = Snapshot(Keeper(server), progress, args.thorough, say, waits).run(name)
    seconds = time.monotonic() - begin
    for remark in done.remarks:
        say(remark)
    say(_sentence(done, seconds))
    _collect(server, name, say)
    _renew_places(server, name, say)
    return done, seconds


def _sentence(done: Copied, seconds: float) -> str:
    rate = f", {size_text(int(done.fetched_bytes / seconds))}/s" if seconds > 0 and done.fetched_bytes else ""
    amount = f"{done.fetched:,} objects, {size_text(done.fetched_bytes)}, fetched in {seconds:.1f} s{rate}"
    if not done.is_new:
        return f"up to date at revision {done.revision}; {amount}"
    before = "" if done.before is None else f" after {done.before}"
    return f"shows revision {done.revision}{before}; {amount}; {done.catalogs:,} catalogs gone through"


def _collect(server: ServerLayout, name: str, say: Any) -> None:
    """Remove what no kept revision needs, where the copy's settings ask for that from time to time."""
    from swrepo.upkeep.automatic import collect_if_due
    from swrepo.upkeep.opening import Keeper

    try:
        found = collect_if_due(Keeper(server), name)
    except Busy as error:
        say(f"the automatic garbage collection waits for the next snapshot: {error}")
        return
    if found is not None:
        say(f"removed {found.objects:,} objects of old revisions, {size_text(found.size)}")


def _renew_places(server: ServerLayout, name: str, say: Any) -> None:
    """The database of the Geo API, when it is time; that it cannot be fetched is said, and is no error."""
    from datetime import datetime

    from swrepo.publish.replica_settings import read
    from swrepo.replica.geo_update import load, update

    try:
        wanted = load(server, read(server.repository(name)))
        if wanted.is_wanted and wanted.after_snapshots:
            update(server, wanted, datetime.now().astimezone(), lazily=True)
    except SwrepoError as error:
        say(f"the database of places stays as it is: {error}")


def _all(server: ServerLayout, args: argparse.Namespace) -> int:
    """As the original's, which cron runs: what fails is in the log, and the next one still gets its turn."""
    from swrepo.replica import every

    logs = every.log_directory(server)
    rotation = server.prefix / "etc/logrotate.d/cvmfs"
    if not args.no_logrotate and not rotation.exists():
        raise UsageError(_LOGROTATE.format(file=rotation, logs=logs))
    logs.mkdir(parents=True, exist_ok=True)
    most = every.most_runs(server, os.environ.get("CVMFS_MAX_PARALLEL_SNAPSHOTS"))
    try:
        with every.one_of_few(server, most):
            for name in every.due(server, args.group, skip_initial=args.skip_initial):
                _logged(server, name, args, logs)
    except Busy as error:
        with (logs / "snapshots.log").open("a", encoding="utf-8") as log:
            print(f"\n{_now()}: {error}", file=log)
    return 0


def _logged(server: ServerLayout, name: str, args: argparse.Namespace, logs: Path) -> None:
    file = logs / (f"{name}.log" if args.separate else "snapshots.log")
    with file.open("a", encoding="utf-8") as log:
        print(f"\nStarting {name} at {_now()}", file=log, flush=True)
        try:
            _copied(server, name, args, log)
        except SwrepoError as error:
            print(f"ERROR: {name}: {error}", file=log)
            note(f"swrepo server snapshot: {name}: {error}")
        print(f"Finished {name} at {_now()}", file=log, flush=True)


def _record(name: str, done: Copied, seconds: float) -> dict[str, Any]:
    return {
        "repository": name,
        "revision": done.revision,
        "revision_before": done.before,
        "first": done.is_first,
        "objects": done.objects,
        "fetched_objects": done.fetched,
        "fetched_bytes": done.fetched_bytes,
        "catalogs": done.catalogs,
        "revisions": done.revisions,
        "tags": done.tags,
        "seconds": round(seconds, 3),
        "remarks": done.remarks,
    }


@contextmanager
def _ended_orderly() -> Iterator[None]:
    """Have what a service manager or a terminal sends end the work as Ctrl-C does, so that what came is kept."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> str:
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")
