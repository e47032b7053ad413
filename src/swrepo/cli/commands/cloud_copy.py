"""Copy an image from one cloud to another: fetched, compared with its checksum, sent with its properties. Resumes."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.progress import Progress

EXAMPLE = "swrepo cloud copy swrepo-server --from mycloud --to private"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="name or id in the first cloud")
    parser.add_argument("--from", dest="source", metavar="CLOUD", help="of clouds.yaml (default: the environment's)")
    parser.add_argument("--to", dest="target", metavar="CLOUD", help="of clouds.yaml; none keeps it as a file")
    parser.add_argument("--as", dest="name", metavar="NAME", help="what it is called there (default: the same)")
    parser.add_argument("--replace", action="store_true", help="in place of the image of that name")
    parser.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help="where it lies on its way")
    parser.add_argument("--keep", action="store_true", help="keep the file")


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud import images
    from swrepo.cloud.connection import connect

    source = connect(args.source)
    target = None if args.target is None else connect(args.target)  # refuses wrong credentials before the long part
    image = images.find(source, args.image)
    name = args.name or image.name
    file = args.directory / f"{name}.{image.disk_format}"
    if not file.exists():
        with Progress("fetching", "blocks") as progress:
            images.download(source, image, file, lambda size: progress.advance(1, size))
    if target is None:
        print(f"{file}")
        return
    plan = images.ImagePlan(
        name, image.min_disk or 0, image.min_ram or 0, image.disk_format, images.properties_to_keep(image)
    )
    with Progress("sending", "blocks") as progress:
        copied = images.upload(target, file, plan, lambda size: progress.advance(1, size), replace=args.replace)
    if not args.keep:
        file.unlink()
    print(f"{name}: {copied.id} in {args.target}, the same bytes (SHA-512) and properties")
