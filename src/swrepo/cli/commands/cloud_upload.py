"""Send an image to a cloud: its checksum is compared with the cloud's, and nothing is left of one that failed."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.clouds import add_cloud_argument
from swrepo.cli.progress import Progress

EXAMPLE = "swrepo cloud upload swrepo-server.qcow2 --cloud mycloud"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="FILE", help="a qcow2 image without a backing file")
    parser.add_argument("--as", dest="name", metavar="NAME", help="what it is called there (default: the file's name)")
    parser.add_argument("--replace", action="store_true", help="in place of the image of that name")
    parser.add_argument("--dry-run", action="store_true", help="check the file and the cloud, send nothing")
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.output import size_text
    from swrepo.cloud import images
    from swrepo.cloud.connection import connect

    name = args.name or args.image.stem
    images.check_file(args.image)
    connection = connect(args.cloud)
    if args.dry_run:
        print(f"would send {args.image} ({size_text(args.image.stat().st_size)}) as {name}")
        return
    with Progress("sending", "blocks") as progress:
        plan = images.ImagePlan(name, properties={"hw_qemu_guest_agent": "no", "os_distro": "debian"})
        image = images.upload(
            connection, args.image, plan, lambda size: progress.advance(1, size), replace=args.replace
        )
    print(f"{name}: {image.id}, {size_text(image.size)}, the cloud has the same checksum (SHA-512)")
