"""Keep a machine's disk as an image, from which machines of their own can be launched."""

from __future__ import annotations

import argparse

from swrepo.cli.clouds import add_cloud_argument
from swrepo.cli.output import note

EXAMPLE = "swrepo cloud snapshot swrepo-server my-server-image"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("server", metavar="SERVER", help="name or id")
    parser.add_argument("image", metavar="IMAGE", help="what the image is called")
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud.connection import connect
    from swrepo.cloud.machines import snapshot

    image = snapshot(connect(args.cloud), args.server, args.image, note)
    print(f"{args.image}: {image.id}; next:  swrepo cloud launch ROLE --image {args.image}")
