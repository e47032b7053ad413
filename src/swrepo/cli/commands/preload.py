"""Fetch a whole repository, or parts of it, into a cache before anybody uses it; a second run fetches what is missing.

Without DIR the cache that mounts of this machine use is filled. With it, a directory is made that mounts can use
without a server and without writing to it (--cache DIR, CVMFS_ALIEN_CACHE=DIR, or the lower tier of two), as can
clients of CernVM-FS: in an image, on a network file system, on a machine without a network.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options, from_here
from swrepo.errors import PathNotFound, UsageError

if TYPE_CHECKING:
    from swrepo.client.parts import Parts
    from swrepo.client.preload import Preloaded
    from swrepo.client.request import AccessRequest

EXAMPLE = """swrepo preload http://127.0.0.1:8000/cvmfs/dair.cvmfs.server /image/cache --key dair.cvmfs.server.pub
swrepo preload dair.cvmfs.server --path /releases/v2 --path '/lib/*/x86_64'
swrepo preload dair.cvmfs.server /image/cache --list wanted.txt"""

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL|NAME", help="repository, by its URL, directory or name")
    parser.add_argument("directory", nargs="?", metavar="DIR", type=from_here, help="the cache to fill")
    only = "only this path and what is below it; * ? [] match within a name, ! before it leaves it out (repeatable)"
    parser.add_argument("--path", action="append", default=[], metavar="PATH", help=only)
    parser.add_argument("--list", metavar="FILE", help="the same, a path on each line, # before remarks")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="objects that are fetched at a time (default: 16)")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli.opening import access_request
    from swrepo.cli.selection import select
    from swrepo.client.access import Access
    from swrepo.client.preload import PARALLEL, preload
    from swrepo.client.target import parse

    if args.directory and args.cache:
        raise UsageError("swrepo preload: give DIR or --cache, not both")
    jobs = PARALLEL if args.jobs is None else args.jobs
    if jobs < 1:
        raise UsageError("swrepo preload: --jobs needs a number from 1 up")
    parts = _parts(args)
    request = access_request(select(parse(args.target), args), args.tag, args.hash)
    with Access(_filling(request, args.directory)) as access, Progress("preloaded", "objects") as progress:
        done = preload(access, parts, jobs=jobs, seen=lambda size: progress.advance(size=size))
        return _report(args, access.fqrn, access.revision.number, str(access.cache.root), done, parts)


def _parts(args: argparse.Namespace) -> Parts:
    from swrepo.client.parts import Parts

    lines = [os.fsencode(path) for path in args.path]
    if args.list:
        try:
            lines += Path(args.list).read_bytes().splitlines()
        except OSError as error:
            raise UsageError(f"cannot read {args.list}: {error.strerror}") from error
    return Parts.parse(lines)


def _filling(request: AccessRequest, directory: str | None) -> AccessRequest:
    from swrepo.cache.plan import DirectoryPlan, Use

    if directory is None:
        return replace(request, remember=False)
    root = Path(directory)
    return replace(request, cache=root, caches=DirectoryPlan(root, Use.FILL), remember=False)


def _report(args: argparse.Namespace, fqrn: str, number: int, root: str, done: Preloaded, parts: Parts) -> int:
    for error in done.errors[:_SHOWN]:
        note(f"swrepo preload: {error}")
    if len(done.errors) > _SHOWN:
        note(f"swrepo preload: and {len(done.errors) - _SHOWN} more")
    unmet = [os.fsdecode(path) for path in parts.unmet]
    for path in unmet:
        note(f"swrepo preload: nothing in {fqrn} matches {path}")
    if args.json:
        write_json(
            {
                "repository": fqrn,
                "revision": number,
                "cache": root,
                "entries": done.entries,
                "objects": done.objects,
                "bytes": done.size,
                "fetched_objects": done.fetched,
                "fetched_bytes": done.fetched_size,
                "external_files": done.external,
                "unmatched": unmet,
                "errors": [str(error) for error in done.errors],
            }
        )
    else:
        outcome = "holds" if done.is_complete else f"lacks {len(done.errors)} objects; it holds"
        print(
            f"{fqrn}, revision {number}: {root} {outcome} {done.objects:,} objects, "
            f"{size_text(done.size)}; {done.fetched:,} of them, {size_text(done.fetched_size)}, were fetched now"
        )
        if done.external:
            print(f"{done.external:,} files are kept elsewhere (external data) and were not fetched")
    if done.errors:
        return done.errors[0].exit_code
    return PathNotFound.exit_code if unmet else 0
