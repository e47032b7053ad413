"""Show which configuration holds for a repository (or for all), and which line of which file set each value."""

from __future__ import annotations

import argparse

from swrepo.cli.configured import full_name, settings
from swrepo.cli.output import note, write_json, write_table
from swrepo.cli.places import current
from swrepo.config.assignments import quote
from swrepo.config.files import files_for
from swrepo.config.parameters import interpret, warnings

EXAMPLE = """swrepo config show dair.cvmfs.server
swrepo config show --files"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", nargs="?", help="name of a repository; without one, what holds for all")
    parser.add_argument("--files", action="store_true", help="the files of this machine that are read, in their order")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    here = current()
    fqrn = full_name(args.repository, here) if args.repository is not None else None
    if args.files:
        for path in files_for(here.configurations, fqrn):
            print(f"{path}{'' if path.exists() else '  (not there)'}")
        return
    found = settings(fqrn, here)
    if args.json:
        write_json({name: {"value": setting.value, "origin": setting.origin} for name, setting in found.items()})
    else:
        rows = [(f"{name}={quote(setting.value)}", setting.origin) for name, setting in sorted(found.items())]
        write_table(("PARAMETER", "SET BY"), rows)
    for sentence in warnings(found):
        note(f"swrepo: {sentence}")
    interpret(found)
