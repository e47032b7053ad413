"""Create a repository: keys, whitelist, storage, a work tree, and a first revision that is an empty directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.errors import UsageError

EXAMPLE = "swrepo server mkfs -o cvmfs dair.cvmfs.server"

_ALGORITHMS = {"sha1": "SHA1", "rmd160": "RIPEMD160", "shake128": "SHAKE128"}
_COMPRESSIONS = {"default": "ZLIB", "zlib": "ZLIB", "none": "NONE"}

_NOT_YET = {
    "-s": ("s3", "FILE", "storage in S3"),
    "-G": ("auto_tag_timespan", "SPAN", "the removal of old automatic tags"),
    "-V": ("voms", "TEXT", "membership rules (VOMS)"),
    "-X": ("external", None, "external data"),
    "-R": ("masterkeycard", None, "a smart card for the master key"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="made like a host name: dair.cvmfs.server")
    parser.add_argument("-o", dest="owner", metavar="USER", help="whom the repository belongs to (default: you)")
    parser.add_argument("-a", dest="algorithm", choices=_ALGORITHMS, default="sha1", help="hash of the contents")
    parser.add_argument("-Z", dest="compression", choices=_COMPRESSIONS, default="default", help="of the contents")
    parser.add_argument("-z", dest="garbage", action="store_true", help="mark it as garbage collectable")
    parser.add_argument("-g", dest="no_auto_tag", action="store_true", help="no automatic tag for each revision")
    parser.add_argument("-v", dest="volatile", action="store_true", help="clients drop its contents first")
    parser.add_argument("-k", dest="keys", metavar="DIR", help="take the keys NAME.* from DIR instead of new ones")
    parser.add_argument("--ttl", type=int, metavar="SECONDS", help="how often clients look for a new revision")
    accepted = parser.add_argument_group("accepted as in CernVM-FS, without an effect")
    accepted.add_argument("-w", dest="stratum0", metavar="URL", help="the server's URL")
    accepted.add_argument("-m", dest="replicable", action="store_true", help="every repository may be replicated")
    accepted.add_argument("-p", dest="no_apache", action="store_true", help="no web server is configured anyway")
    accepted.add_argument("-f", dest="union", metavar="TYPE", help="the work tree is a plain directory")
    accepted.add_argument("-u", dest="upstream", metavar="STORAGE", help="must be local storage, at its usual place")
    missing = parser.add_argument_group("not there yet")
    for option, (name, argument, what) in _NOT_YET.items():
        if argument is None:
            missing.add_argument(option, dest=name, action="store_true", help=what)
        else:
            missing.add_argument(option, dest=name, metavar=argument, help=what)


def run(args: argparse.Namespace) -> None:
    for option, (name, _, what) in _NOT_YET.items():
        if getattr(args, name):
            raise UsageError(f"{option} ({what}) is not there yet")
    if args.upstream and not args.upstream.startswith("local,"):
        raise UsageError(f"-u {args.upstream}: only local storage is there yet")
    from swrepo.cli import server_side
    from swrepo.format.compression import Compression
    from swrepo.format.manifest import DEFAULT_TTL
    from swrepo.format.object_id import Algorithm
    from swrepo.publish.create import CreateOptions, create_repository

    options = CreateOptions(
        algorithm=Algorithm[_ALGORITHMS[args.algorithm]],
        compression=Compression[_COMPRESSIONS[args.compression]],
        ttl=DEFAULT_TTL if args.ttl is None else args.ttl,
        garbage_collectable=args.garbage,
        auto_tag=not args.no_auto_tag,
        volatile=args.volatile,
        owner=args.owner,
        keys=Path(args.keys) if args.keys else None,
    )
    places = create_repository(server_side.layout(), args.repository, options)
    print(f"created the repository {places.fqrn}")
    print(f"  work in     {places.worktree}, then: cvmfs_server publish {places.fqrn}")
    print(f"  serve       swrepo serve {places.storage.parent}")
    print(f"  clients     need the public key {places.keys.public}")
    print(f"  keep safe   {places.keys.master} signs the whitelist again within 30 days (resign)")
