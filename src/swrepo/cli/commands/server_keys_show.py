"""Show a repository's keys: fingerprints, modes, until when the whitelist lists them, and what is wrong with them."""

from __future__ import annotations

import argparse
from typing import Any

from swrepo.cli.arguments import add_repository_argument
from swrepo.cli.output import write_json

EXAMPLE = "swrepo server keys show dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from datetime import UTC, datetime

    from swrepo.cli import server_side
    from swrepo.publish.key_report import report

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    found = report(places, datetime.now(UTC))
    if args.json:
        write_json(_record(found))
        return
    for key in found.files:
        print(f"{key.what + ':':<22} {key.path} {key.note}")
        for fingerprint in key.fingerprints:
            print(f"{'':<22} {fingerprint}")
    print(f"{'whitelist ends:':<22} {found.ends:%Y-%m-%d %H:%M} UTC" if found.ends else "whitelist: none")
    for trouble in found.troubles:
        print(f"{'to mend:':<22} {trouble}")


def _record(found: Any) -> dict[str, Any]:
    return {
        "repository": found.fqrn,
        "files": [
            {"what": key.what, "path": str(key.path), "note": key.note, "fingerprints": key.fingerprints}
            for key in found.files
        ],
        "whitelist_ends": found.ends and found.ends.isoformat(),
        "troubles": found.troubles,
    }
