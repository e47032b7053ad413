"""Fetch everything that a revision reaches, past the cache, and check each byte against the name that was signed."""

from __future__ import annotations

import argparse

from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.selection import add_selection_options

EXAMPLE = "swrepo verify http://127.0.0.1:8000/cvmfs/dair.cvmfs.server --key dair.cvmfs.server.pub"

_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL", help="repository")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> int:
    from swrepo.cli.checking import check
    from swrepo.cli.opening import open_target

    with open_target(args, args.target) as opened, Progress("checked", "objects") as progress:
        verdict = check(opened.access, progress)
        fqrn, number = opened.fqrn, opened.revision.number
    for error in verdict.errors[:_SHOWN]:
        note(f"swrepo verify: {error}")
    if len(verdict.errors) > _SHOWN:
        note(f"swrepo verify: and {len(verdict.errors) - _SHOWN} more")
    if args.json:
        errors = [str(error) for error in verdict.errors]
        write_json(
            {
                "repository": fqrn,
                "revision": number,
                "entries": verdict.entries,
                "objects": verdict.objects,
                "bytes": verdict.size,
                "external_files": verdict.external,
                "errors": errors,
            }
        )
    else:
        outcome = (
            "verified" if not verdict.errors else f"{len(verdict.errors)} objects are missing or damaged; verified"
        )
        print(f"{fqrn}, revision {number}: {outcome} {verdict.objects:,} objects, {size_text(verdict.size)} unpacked")
        if verdict.external:
            print(f"{verdict.external:,} files are kept elsewhere (external data) and were not looked at")
    return verdict.errors[0].exit_code if verdict.errors else 0
