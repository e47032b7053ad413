"""Show which configuration holds for a repository (or for all), and which line of which file set each value."""

from __future__ import annotations

import argparse

from swrepo.cli.output import note, write_json, write_table
from swrepo.cli.places import current
from swrepo.config.assignments import quote
from swrepo.config.files import files_for, load
from swrepo.config.parameters import complete_name, interpret, warnings

EXAMPLE = "swrepo config dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", nargs="?", help="name of a repository; without one, what holds for all")
    parser.add_argument("--files", action="store_true", help="the files that are read, in their order")
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    here = current()
    fqrn = args.repository
    if fqrn is not None:
        fqrn = complete_name(fqrn, interpret(load(here.configurations, None)).default_domain)
    if args.files:
        for path in files_for(here.configurations, fqrn):
            print(f"{path}{'' if path.exists() else '  (not there)'}")
        return
    settings = load(here.configurations, fqrn)
    if args.json:
        write_json({name: {"value": setting.value, "origin": setting.origin} for name, setting in settings.items()})
    else:
        rows = [(f"{name}={quote(setting.value)}", setting.origin) for name, setting in sorted(settings.items())]
        write_table(("PARAMETER", "SET BY"), rows)
    for sentence in warnings(settings):
        note(f"swrepo: {sentence}")
    interpret(settings)
