"""Publish a container image as a root file system, without unpacking it anywhere and without a container engine.

IMAGE is a directory with an OCI image layout, an archive of one, what 'docker save' wrote, or in a registry
docker://HOST/NAME[:TAG]. Layers are stored once for all images that have them, and not fetched again. Clients run what
they find at the path: 'apptainer exec /cvmfs/NAME/PATH COMMAND'.
"""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = """\
swrepo server ingest-image -t docker://docker.io/library/debian:stable sw.example.org
docker save solver:3 -o solver.tar && swrepo server ingest-image -t solver.tar -b /images/solver:3 sw.example.org"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument(
        "-t",
        "--image",
        dest="image",
        metavar="IMAGE",
        required=True,
        help="DIR, FILE or docker://HOST/NAME[:TAG][@DIGEST]",
    )
    parser.add_argument(
        "-b", "--base_dir", "--base-dir", dest="base", metavar="PATH", help="where to find it; default: its own name"
    )
    parser.add_argument("--ref", dest="wanted", default="", metavar="REF", help="which one, where there are several")
    parser.add_argument("--platform", metavar="OS/ARCH", help="for which machines; default: such as this one")
    parser.add_argument("--credentials", metavar="FILE", help="USER:PASSWORD for the registry, in a file")
    parser.add_argument("--plain-http", dest="plain_http", action="store_true", help="the registry has no TLS")
    parser.add_argument("-u", "--user", metavar="USER", help="whom everything belongs to; default: as in the image")
    parser.add_argument("-g", "--group", metavar="GROUP", help="with -u; default: that of the user")
    parser.add_argument("-a", dest="tag", default="", metavar="TAG", help="a name for the new revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the tag is about")
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change")
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; the progress as lines of JSON on standard error"
    )


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import archives, images, server_side
    from swrepo.errors import UsageError
    from swrepo.publish.image_ingestion import ImageIngestion
    from swrepo.publish.image_source import chosen

    if args.group is not None and args.user is None:
        raise UsageError("-g needs -u: name a user too")
    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    args.keep = args.user is None
    owner = archives.owner_of(args, server.repository(fqrn))
    with images.opened(args) as source:
        image = chosen(source, args.wanted, args.platform or images.this_platform())
        ingestion = ImageIngestion(source, image, images.path_of(args.base, image.name))
        archives.publish(args, server, fqrn, ingestion, owner)
    if not args.json:
        images.tell(server.repository(fqrn), ingestion)
