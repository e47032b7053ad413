"""Keep a subtree of a repository as a plain directory, without a mount: hard links, modes, times, attributes and all.

Run again, it brings the directory up to date: only what changed is fetched and written, each file whole or not at all.
What is in the cache is used (and checked); what is not is fetched past it, unless --keep says to keep it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.describe import printable, text
from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options
from swrepo.errors import SwrepoError

if TYPE_CHECKING:
    from swrepo.api.copying import Summary

EXAMPLE = "swrepo export http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/bin ./bin --key dair.cvmfs.server.pub --delete"

_JOBS = 16


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="URL/PATH", help="repository and path of a directory in it")
    parser.add_argument("directory", metavar="DIR", help="a new or empty directory, or an export of the same")
    parser.add_argument("--delete", action="store_true", help="remove what the repository does not have (any more)")
    parser.add_argument("--rewrite", action="store_true", help="write also files that have the published size and time")
    parser.add_argument("--adopt", action="store_true", help="write into a directory that holds other things already")
    parser.add_argument("--keep", action="store_true", help="keep what is fetched in the cache")
    parser.add_argument("--no-owner", action="store_true", help="as root: leave everything to root")
    parser.add_argument("--jobs", type=int, default=_JOBS, metavar="N", help="files at a time (16)")
    parser.add_argument("--json", action="store_true", help="a JSON document about what was done")
    add_selection_options(parser)


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from swrepo.api.attributes import EVERYTHING
    from swrepo.api.export import ExportOptions, export
    from swrepo.cli.opening import open_target

    options = ExportOptions(
        keep=replace(EVERYTHING, owners=not args.no_owner),
        remove=args.delete,
        rewrite=args.rewrite,
        adopt=args.adopt,
        keep_in_cache=args.keep,
        jobs=max(1, args.jobs),
    )
    with open_target(args, args.source) as opened, Progress("exported", "files") as progress:
        summary = export(
            opened.access,
            opened.target.path,
            Path(args.directory),
            options,
            lambda size: progress.advance(size=size),
        )
        revision = opened.revision.number
    _report(summary, revision, as_json=args.json)
    return exit_code(summary)


def exit_code(summary: Summary) -> int:
    """That of the first file that could not be had; 1 where the system could not hold something."""
    if summary.failed:
        return summary.failed[0][1].exit_code
    return SwrepoError.exit_code if summary.left_out else 0


def complain(summary: Summary, program: str) -> None:
    """A line for each entry that is missing, and one for what could not be put on."""
    for path, why in summary.left_out:
        note(f"{program}: left out {printable(path)}: {why}")
    for path, error in summary.failed:
        note(f"{program}: failed {printable(path)}: {error}")
    if summary.attributes_refused:
        note(f"{program}: {summary.attributes_refused} extended attributes could not be set on this system")


def _report(summary: Summary, revision: int, *, as_json: bool) -> None:
    complain(summary, "swrepo export")
    if not as_json:
        print(
            f"revision {revision}: {summary.files:,} files written ({size_text(summary.size)}), "
            f"{summary.unchanged:,} unchanged, {summary.removed:,} removed"
        )
        return
    write_json(
        {
            "revision": revision,
            "files": summary.files,
            "bytes": summary.size,
            "unchanged": summary.unchanged,
            "directories": summary.directories,
            "links": summary.links,
            "special_files": summary.special_files,
            "removed": summary.removed,
            "attributes_refused": summary.attributes_refused,
            "left_out": [{"path": text(path), "why": why} for path, why in summary.left_out],
            "failed": [{"path": text(path), "why": str(error)} for path, error in summary.failed],
        }
    )
