"""Check everything in a cache and remove what is damaged; whoever needs it next fetches it again.

A file is checked against the checksum that was noted when it came. Files without one (a client of CernVM-FS put them
there) are checked by packing them as that client does; where that tells nothing, they are called unknown, and stay
unless --strict is given. The cache may be in use meanwhile.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.errors import UsageError

EXAMPLE = """swrepo fsck
swrepo fsck --cache /var/lib/cvmfs/shared --strict"""

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", metavar="DIR", help="the cache (default: the one that all repositories share)")
    parser.add_argument("--strict", action="store_true", help="remove also what cannot be checked")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="files at a time (default: two for each core)")
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; progress as lines of JSON on standard error"
    )


def run(args: argparse.Namespace) -> int:
    from swrepo.cache.audit import audit

    root = _cache(args.cache)
    jobs = args.jobs if args.jobs is not None else 2 * (os.cpu_count() or 1)
    if jobs < 1:
        raise UsageError("swrepo fsck: --jobs needs a number from 1 up")
    with Progress("checked", "objects", as_events=args.json) as progress:

        def expect(count: int, size: int) -> None:
            progress.expect(count, size)
            progress.expect_no_more()

        found = audit(
            root, strict=args.strict, jobs=jobs, expected=expect, seen=lambda size: progress.advance(size=size)
        )
    if args.json:
        counts = {"good": found.good, "unknown": found.unknown, "bytes": found.size}
        write_json({"cache": str(root), **counts, "removed": list(found.removed)})
    else:
        for path in found.removed[:_SHOWN]:
            note(f"swrepo fsck: removed {root / path}")
        if len(found.removed) > _SHOWN:
            note(f"swrepo fsck: and {len(found.removed) - _SHOWN} more")
        print(
            f"{root}: {found.good:,} objects are good, {found.unknown:,} unknown, {len(found.removed):,} were removed; "
            f"{size_text(found.size)} in all"
        )
    return 1 if found.removed else 0


def _cache(given: str | None) -> Path:
    from swrepo.cli.places import current
    from swrepo.cli.selection import SHARED_CACHE
    from swrepo.config.files import load
    from swrepo.config.parameters import interpret

    places = current()
    base = interpret(load(places.configurations, None)).cache_base
    root = Path(given) if given else (Path(base) if base else places.cache_base) / SHARED_CACHE
    if not root.is_dir():
        raise UsageError(f"there is no cache at {root}; name one with --cache DIR")
    return root
