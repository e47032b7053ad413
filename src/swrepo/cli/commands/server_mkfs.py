"""Create a repository: keys, whitelist, storage, a work tree, and a first revision that is an empty directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.errors import UsageError

EXAMPLE = """swrepo server mkfs -o cvmfs dair.cvmfs.server
swrepo server mkfs -s /etc/cvmfs/s3.conf -w https://objects.example.org/software sw.example.org"""

_ALGORITHMS = {"sha1": "SHA1", "rmd160": "RIPEMD160", "shake128": "SHAKE128"}
_COMPRESSIONS = {"default": "ZLIB", "zlib": "ZLIB", "none": "NONE"}
_UNIONS = ("overlayfs", "aufs")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="made like a host name: dair.cvmfs.server")
    parser.add_argument("-o", dest="owner", metavar="USER", help="whom the repository belongs to (default: you)")
    parser.add_argument("-k", dest="keys", metavar="DIR", help="take the keys NAME.* from DIR instead of new ones")
    parser.add_argument("-R", dest="masterkeycard", action="store_true", help="the master key is on a smart card")
    _configure_contents(parser.add_argument_group("what is published"))
    places = parser.add_argument_group("where")
    places.add_argument("-w", dest="stratum0", metavar="URL", help="where clients find it; with -s: without its NAME")
    places.add_argument("-u", dest="upstream", metavar="STORAGE", help="local,TMP,DIR or S3,TMP,ALIAS@FILE")
    places.add_argument("-s", dest="s3", metavar="FILE", help="store it in S3; FILE sets CVMFS_S3_HOST, ... (needs -w)")
    places.add_argument("-x", dest="proxy", metavar="URL", help="the proxy by which this server reaches -w")
    accepted = parser.add_argument_group("accepted as in CernVM-FS")
    accepted.add_argument("-f", dest="union", choices=_UNIONS, help="how transactions are made (aufs is refused)")
    accepted.add_argument("-m", dest="replicable", action="store_true", help="every repository may be replicated")
    accepted.add_argument("-p", dest="no_apache", action="store_true", help="no web server is configured anyway")


def _configure_contents(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-a", dest="algorithm", choices=_ALGORITHMS, default="sha1", help="hash of the contents")
    group.add_argument("-Z", dest="compression", choices=_COMPRESSIONS, default="default", help="of the contents")
    group.add_argument("-z", dest="garbage", action="store_true", help="mark it as garbage collectable")
    group.add_argument("-g", dest="no_auto_tag", action="store_true", help="no automatic tag for each revision")
    group.add_argument("-G", dest="timespan", default="", metavar="SPAN", help="keep automatic tags: '4 weeks ago'")
    group.add_argument("-v", dest="volatile", action="store_true", help="clients drop its contents first")
    group.add_argument("-X", dest="external", action="store_true", help="contents stay where CVMFS_EXTERNAL_URL says")
    group.add_argument("-V", dest="readers", default="", metavar="TEXT", help="who may read (a VOMS membership)")
    group.add_argument("--ttl", type=int, metavar="SECONDS", help="how often clients look for a new revision")
    group.add_argument("--no-autocatalogs", action="store_true", help="do not cut catalogs that grow too large")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.cli.output import note
    from swrepo.format.compression import Compression
    from swrepo.format.manifest import DEFAULT_TTL
    from swrepo.format.object_id import Algorithm
    from swrepo.publish import storage, upstream
    from swrepo.publish.balance import Weights
    from swrepo.publish.create import CreateOptions, create_repository

    _refuse(args)
    layout = server_side.layout()
    stored_in = None
    if args.upstream:
        stored_in = upstream.parse(args.upstream)
    elif args.s3:
        temporary = layout.new_repository(args.repository).spool / "tmp"
        stored_in = storage.bucket(args.repository, Path(args.s3).absolute(), args.stratum0, temporary)
    options = CreateOptions(
        algorithm=Algorithm[_ALGORITHMS[args.algorithm]],
        compression=Compression[_COMPRESSIONS[args.compression]],
        ttl=DEFAULT_TTL if args.ttl is None else args.ttl,
        garbage_collectable=args.garbage,
        auto_tag=not args.no_auto_tag,
        auto_tag_timespan=args.timespan,
        volatile=args.volatile,
        external=args.external,
        voms_authz=args.readers,
        weights=None if args.no_autocatalogs else Weights(),
        stratum0=_stratum0(args),
        proxy=args.proxy or "",
        union=args.union or "",
        owner=args.owner,
        keys=Path(args.keys) if args.keys else None,
        card=smart_card(layout) if args.masterkeycard else None,
        upstream=stored_in,
    )
    if args.timespan and args.no_auto_tag:
        note("-G has no effect with -g: there are no automatic tags")
    if args.garbage and not args.no_auto_tag and not args.timespan:
        note("automatic tags keep every revision from being collected; -g, or -G SPAN, lets them go")
    places = create_repository(layout, args.repository, options)
    print(f"created the repository {places.fqrn}")
    print(f"  work in     {places.worktree}, then: cvmfs_server publish {places.fqrn}")
    if places.is_local:
        print(f"  serve       swrepo serve {places.storage.parent}")
    else:
        print(f"  stored in   {places.upstream.encode()}")
    print(f"  clients     need the public key {places.keys.public}")
    if args.masterkeycard:
        print("  keep safe   the smart card signs the whitelist again within 7 days (resign)")
    else:
        print(f"  keep safe   {places.keys.master} signs the whitelist again within 30 days (resign)")


def _refuse(args: argparse.Namespace) -> None:
    if args.union == "aufs":
        raise UsageError("-f aufs: kernels have no aufs any more; transactions use overlayfs")
    if args.s3 and not args.stratum0:
        raise UsageError("-s needs -w URL: where clients find the bucket over HTTP, without the repository's name")
    if args.s3 and args.upstream:
        raise UsageError("-s and -u both say where the repository is stored; give one of them")


def _stratum0(args: argparse.Namespace) -> str:
    if args.s3:
        return f"{args.stratum0.rstrip('/')}/{args.repository}"
    return args.stratum0 or ""
