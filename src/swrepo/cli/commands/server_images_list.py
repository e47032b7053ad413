"""List the container images of a repository: their names, root file systems and layers, and what nobody uses."""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = "cvmfs_server images list sw.example.org"


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.describe import printable
    from swrepo.cli.output import note, write_json
    from swrepo.cli.published import state
    from swrepo.publish.image_survey import survey

    server = server_side.layout()
    with state(server.repository(server_side.which(server, args.repository))).revision() as revision:
        found = survey(revision)
    unused, layers = found.unused(), {one.flat: len(one.layers) for one in found.described}
    if args.json:
        write_json(
            {
                "images": [
                    {"name": printable(link), "root": printable(flat), "layers": layers.get(flat)}
                    for link, flat in sorted(found.links.items())
                ],
                "unused": [printable(path) for path in unused.paths],
            }
        )
        return
    for link, flat in sorted(found.links.items()):
        count = f"{layers[flat]} layers" if flat in layers else "no manifest"
        print(f"{printable(link)}  {printable(flat)}  {count}")
    if unused.paths:
        flats, left = len(unused.flats), len(unused.layers)
        note(f"{flats:,} root file systems and {left:,} layers are used by no image: 'images prune' removes them")
