"""Have a copy of another server's repository here (a stratum 1): its configuration. 'snapshot' then copies it.

URL is where the stratum 0 publishes it; KEY its public key, or a directory with the keys of several.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.errors import UsageError

if TYPE_CHECKING:
    from swrepo.publish.upstream import Upstream

EXAMPLE = """cvmfs_server add-replica http://s0.example.org/cvmfs/sw.example.org /etc/cvmfs/keys/sw.example.org.pub
cvmfs_server snapshot sw.example.org"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stratum0", metavar="URL", help="the repository at its stratum 0")
    parser.add_argument("key", nargs="?", metavar="KEY", help="public key, or a directory of them (with : several)")
    parser.add_argument("-o", dest="owner", metavar="USER", help="whom the copy belongs to (default: you)")
    parser.add_argument("-u", dest="upstream", metavar="STORAGE", help="local,TMP,DIR or S3,TMP,ALIAS@FILE")
    parser.add_argument("-s", dest="s3", metavar="FILE", help="store it in S3; FILE sets CVMFS_S3_HOST, ... (needs -w)")
    parser.add_argument("-w", dest="stratum1", metavar="URL", help="where clients find the copy")
    parser.add_argument("-n", dest="alias", default="", metavar="NAME", help="another name for the copy on this server")
    parser.add_argument("-g", dest="group", default="", metavar="GROUP", help="'snapshot -a -g GROUP' copies it")
    parser.add_argument("-z", dest="auto_gc", action="store_true", help="collect garbage after snapshots")
    parser.add_argument(
        "-P", dest="passthrough", action="store_true", help="copy nothing: the web server hands requests on"
    )
    parser.add_argument("-x", dest="proxy", default="", metavar="URL", help="the proxy by which URL is reached")
    accepted = parser.add_argument_group("accepted as in CernVM-FS")
    accepted.add_argument("-a", dest="no_warning", action="store_true", help="no web server is looked for anyway")
    accepted.add_argument("-p", dest="no_apache", action="store_true", help="no web server is configured anyway")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.output import note
    from swrepo.replica.adding import ReplicaRequest, add_replica

    _refuse(args)
    layout = server_side.layout()
    stratum1, upstream = _place(args)
    request = ReplicaRequest(
        stratum0=args.stratum0,
        keys=tuple(map(Path, (args.key or "").split(":"))) if args.key else (),
        alias=args.alias,
        stratum1=stratum1,
        upstream=upstream,
        owner=args.owner,
        group=args.group,
        proxy=args.proxy,
        auto_gc=args.auto_gc,
        is_passthrough=args.passthrough,
    )
    added = add_replica(layout, request)
    places = added.places
    print(f"added the replica {places.fqrn} of {added.settings.stratum0}")
    if args.passthrough:
        print(f"  web server  hands requests for {places.url_path} on to {added.settings.stratum0} (docs/replicas.md)")
        return
    print(f"  copy it     cvmfs_server snapshot {places.fqrn}")
    print(f"  stored in   {places.place}")
    if places.is_local:
        print(f"  serve       swrepo serve {places.storage.parent}")
    if added.remark:
        note(f"it cannot be copied yet: {added.remark}")


def _place(args: argparse.Namespace) -> tuple[str, Upstream | None]:
    """Where clients find it, and where it is stored; what is usual where nothing is said."""
    from swrepo.cli import server_side
    from swrepo.publish import storage, upstream
    from swrepo.replica.adding import name_at

    if args.upstream:
        return args.stratum1 or "", upstream.parse(args.upstream)
    if not args.s3:
        return args.stratum1 or "", None
    name = args.alias or name_at(args.stratum0, args.proxy)
    temporary = server_side.layout().new_repository(name).spool / "tmp"
    place = storage.bucket(name, Path(args.s3).absolute(), args.stratum1, temporary)
    return f"{args.stratum1.rstrip('/')}/{name}", place


def _refuse(args: argparse.Namespace) -> None:
    if args.passthrough:
        for option, value in (("-u", args.upstream), ("-s", args.s3), ("-z", args.auto_gc)):
            if value:
                raise UsageError(f"-P and {option}: a pass-through repository stores nothing here")
    elif not args.key:
        raise UsageError("name the repository's public key after its URL, or a directory of keys")
    if args.s3 and not args.stratum1:
        raise UsageError("-s needs -w URL: where clients find the bucket over HTTP, without the repository's name")
    if args.s3 and args.upstream:
        raise UsageError("-s and -u both say where the copy is stored; give one of them")
