"""Publish what a tar archive holds, below a directory of the repository, without unpacking it anywhere.

The archive may be compressed by gzip, xz, bzip2 or zstd. What the repository has elsewhere stays; paths can be deleted
at the same time.
"""

from __future__ import annotations

import argparse

from swrepo.cli.arguments import add_repository_argument

EXAMPLE = """\
swrepo server ingest -t gcc-14.tar.xz -b sw/gcc/14 -c sw.example.org
curl -fsS https://example.org/data.tar.zst | swrepo server ingest -t - -b data -d data/old sw.example.org"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("-t", "--tar_file", "--tar-file", dest="archive", metavar="FILE", help="'-' is standard input")
    parser.add_argument(
        "-b", "--base_dir", "--base-dir", dest="base", metavar="DIR", help="where in the repository; '/' is its top"
    )
    parser.add_argument(
        "-d", "--delete", dest="deletes", action="append", default=[], metavar="PATH", help="delete first; repeatable"
    )
    parser.add_argument("-c", "--catalog", action="store_true", help="DIR gets a catalog of its own")
    parser.add_argument(
        "-u", "--user", metavar="USER", help="whom everything belongs to; default: the repository's owner"
    )
    parser.add_argument("-g", "--group", metavar="GROUP", help="with -u; default: that of the user")
    parser.add_argument(
        "-k", "--keep-ownership", dest="keep", action="store_true", help="owners and groups as in the archive"
    )
    parser.add_argument("-a", dest="tag", default="", metavar="TAG", help="a name for the new revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the tag is about")
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change")
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; the progress as lines of JSON on standard error"
    )


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import archives, server_side
    from swrepo.format.paths import ROOT, normalise
    from swrepo.publish.ingestion import Ingestion

    archives.check_ingest_options(args)
    server = server_side.layout()
    fqrn = server_side.which(server, None if args.repository is None else args.repository.partition("/")[0])
    owner = archives.owner_of(args, server.repository(fqrn))
    with archives.opened(args.archive) as file:
        ingestion = Ingestion(
            None if file is None else file.read,
            ROOT if args.base is None else normalise(args.base),
            tuple(normalise(path) for path in args.deletes),
            args.catalog,
        )
        archives.publish(args, server, fqrn, ingestion, owner)
    archives.note_about(ingestion)
