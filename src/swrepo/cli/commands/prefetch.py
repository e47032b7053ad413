"""Bring a directory of a repository, or all of it, into the cache that mounts use, so that nothing in it is waited for.

It needs no mount, and serves those that are there: what it brought, they find. What is here already is not fetched
again; interrupted, it goes on where it was. Where the cache could not hold all of it, it says so and fetches nothing.
Whoever waits for a mount of this machine goes first: while somebody does, nothing more is asked for, unless --urgent.
A mount does the same by itself with -o fill=PATH.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options
from swrepo.errors import CacheFull, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from swrepo.cli.places import Places
    from swrepo.client.access import Access
    from swrepo.client.preload import Preloaded
    from swrepo.repository.revision import Revision

EXAMPLE = """swrepo prefetch sw.example.org/releases/v2
swrepo prefetch /cvmfs/sw.example.org/releases/v2/lib --json
swrepo prefetch http://127.0.0.1:8000/cvmfs/dair.cvmfs.server --key dair.cvmfs.server.pub --cache ./cache"""

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="REPO[/PATH]", help="repository by URL, directory or name, and a path in it")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="objects that are fetched at a time (default: 16)")
    parser.add_argument("--urgent", action="store_true", help="do not give way to programs that wait for mounts")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli.giving_way import GivesWay
    from swrepo.cli.opening import access_request
    from swrepo.cli.places import current
    from swrepo.cli.selection import select
    from swrepo.client.access import Access
    from swrepo.client.parts import Parts
    from swrepo.client.preload import PARALLEL, preload
    from swrepo.client.target import parse

    jobs = PARALLEL if args.jobs is None else args.jobs
    if jobs < 1:
        raise UsageError("swrepo prefetch: --jobs needs a number from 1 up")
    target, places = parse(args.target), current()
    request = replace(access_request(select(target, args), args.tag, args.hash), remember=False)
    with Access(request) as access, Progress("prefetched", "objects") as progress:
        access.revision.lookup(target.path)
        progress.total = _size(access.revision, target.path)
        _check_room(access, target.path, progress.total)
        parts = Parts.below(target.path)
        give_way = None if args.urgent else GivesWay(lambda: _mounts(args.cache, places), waits_long=_say_why).wait
        done = preload(access, parts, jobs=jobs, seen=lambda size: progress.advance(size=size), give_way=give_way)
        return _report(args, access.fqrn, os.fsdecode(target.path or b"/"), str(access.cache.root), done)


def _mounts(cache: str | None, places: Places) -> list[Path]:
    """The control sockets of the mounts of this machine, and of those that use this cache."""
    from swrepo.cli.mounting import sockets

    return list({*sockets(None, places), *(sockets(cache, places) if cache else ())})


def _say_why() -> None:
    note("swrepo prefetch: programs wait for mounts of this machine, and go first; --urgent gives way to nobody")


def _size(revision: Revision, path: bytes) -> int:
    """Plain bytes of what lies below a path, as far as catalogs that are needed anyway tell."""
    from swrepo.repository.walk import walk

    if not path:
        return revision.tree.root.counters().total.file_size
    entry = revision.lookup(path)
    if not entry.is_directory:
        return entry.size
    return sum(entry.size for _, entry in walk(revision, path) if entry.is_regular and not entry.is_external)


def _check_room(access: Access, path: bytes, size: int) -> None:
    """CacheFull, before anything has to go for it, where the cache could not hold all. `size`: of all files."""
    quota = access.cache.quota
    if quota is None or size <= quota.limit:
        return
    needed = _distinct_size(access.revision, path)  # what is there twice is kept once
    if needed > quota.limit:
        raise CacheFull(
            f"{os.fsdecode(path or b'/')} has {size_text(needed)}, and the cache {access.cache.root} may take "
            f"{size_text(quota.limit)}; raise CVMFS_QUOTA_LIMIT, or name a smaller part of the repository"
        )


def _distinct_size(revision: Revision, path: bytes) -> int:
    from swrepo.repository.content import wanted_objects
    from swrepo.repository.walk import walk

    sizes: dict[object, int] = {}
    for place, entry in walk(revision, path):
        if entry.is_regular and not entry.is_external:
            chunks = revision.chunks(place) if entry.is_chunked else ()
            sizes |= {want.id: want.size or 0 for want in wanted_objects(entry, chunks)}
    return sum(sizes.values())


def _report(args: argparse.Namespace, fqrn: str, path: str, root: str, done: Preloaded) -> int:
    for error in done.errors[:_SHOWN]:
        note(f"swrepo prefetch: {error}")
    if len(done.errors) > _SHOWN:
        note(f"swrepo prefetch: and {len(done.errors) - _SHOWN} more")
    if args.json:
        write_json(
            {
                "repository": fqrn,
                "path": path,
                "cache": root,
                "objects": done.objects,
                "bytes": done.size,
                "fetched_objects": done.fetched,
                "fetched_bytes": done.fetched_size,
                "errors": [str(error) for error in done.errors],
            }
        )
    else:
        print(
            f"{fqrn}, {path}: {root} holds {done.objects:,} objects, {size_text(done.size)}; "
            f"{done.fetched:,} of them, {size_text(done.fetched_size)}, were fetched now"
        )
    return done.errors[0].exit_code if done.errors else 0
