"""What `images remove` and `images prune` share: the options, what would go, and the publication without it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from swrepo.cli.arguments import add_repository_argument


def add_removal_options(parser: argparse.ArgumentParser) -> None:
    """Options of both."""
    add_repository_argument(parser)
    parser.add_argument("-n", "--dry-run", dest="dry_run", action="store_true", help="only tell what would go")
    parser.add_argument("-a", dest="tag", default="", metavar="TAG", help="a name for the new revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the tag is about")
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change")
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; the progress as lines of JSON on standard error"
    )


def remove(args: argparse.Namespace, images: Sequence[str]) -> None:
    """Remove these images, and what is unused then; or only tell it. NotFound where one is none."""
    from swrepo.cli import archives, server_side
    from swrepo.cli.describe import printable
    from swrepo.cli.output import note, write_json
    from swrepo.cli.published import state
    from swrepo.format.paths import normalise
    from swrepo.publish.image_survey import ImageRemoval, to_delete

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    names = tuple(normalise(os.fsencode(image)) for image in images)
    with state(server.repository(fqrn)).revision() as revision:
        paths, unused = to_delete(revision, names)
    if unused.remark:
        note(unused.remark)
    if not args.dry_run:
        archives.publish(args, server, fqrn, ImageRemoval(names), None)
        return
    if args.json:
        write_json({"repository": fqrn, "dry_run": True, "paths": [printable(path) for path in paths]})
        return
    for path in paths:
        print(f"would remove {printable(path)}")
    print(f"{fqrn}: {len(unused.flats):,} root file systems and {len(unused.layers):,} layers would go")
