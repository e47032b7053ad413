"""Take over a repository that another server made, ours or CernVM-FS's: its storage and its keys, as they are.

The storage is expected in /srv/cvmfs/NAME, or copied from --from DIR; the keys in /etc/cvmfs/keys, or copied from -k.
The work tree is filled with the newest revision. Interrupted, it is run again. A repository that CernVM-FS's
cvmfs_server keeps on this machine needs no import: what is missing of its work tree is filled.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.output import note, size_text
from swrepo.cli.progress import Progress
from swrepo.errors import SwrepoError, UsageError

EXAMPLE = """
swrepo server import -k /media/safe/keys --from /media/copy/dair.cvmfs.server dair.cvmfs.server
swrepo server import -r -t dair.cvmfs.server    # only the master key was saved
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME")
    parser.add_argument(
        "--from", dest="storage", metavar="DIR", help="copy the storage from here (.cvmfspublished, data)"
    )
    parser.add_argument("-k", dest="keys", metavar="DIR", help="copy the key files from here")
    parser.add_argument("-o", dest="owner", metavar="USER", help="whom it belongs to (default: who runs this)")
    parser.add_argument(
        "-r", dest="new_whitelist", action="store_true", help="sign a new whitelist: needs the master key"
    )
    parser.add_argument("-t", dest="new_key", action="store_true", help="make a new repository key (needs -r)")
    parser.add_argument("-m", dest="replicable", action="store_true", help="replicas are allowed")
    parser.add_argument("-g", dest="give", action="store_true", help="give the storage to the owner")
    parser.add_argument("-R", dest="masterkeycard", action="store_true", help="as -r, by a smart card's master key")
    parser.add_argument("-w", dest="stratum0", default="", metavar="URL", help="where clients of this machine find it")
    parser.add_argument("-x", dest="proxy", default="", metavar="URL", help="the proxy by which this server reaches -w")
    parser.add_argument("-u", dest="upstream", metavar="STORAGE", help="local,TMP,DIR: the storage is in DIR")
    parser.add_argument("-f", dest="union", default="", metavar="TYPE", help="overlayfs; aufs is refused")
    ignored = parser.add_argument_group("taken as from CernVM-FS, with no meaning here")
    ignored.add_argument("-c", dest="ownership", metavar="UID:GID", help="owners are as published (catalog-chown)")
    ignored.add_argument("-s", dest="statistics", action="store_true", help="nothing is migrated")
    ignored.add_argument("-p", dest="no_apache", action="store_true", help="no web server is configured anyway")
    ignored.add_argument("-l", dest="legacy", action="store_true", help="refused: catalogs of CernVM-FS 2.0")


def run(args: argparse.Namespace) -> int:
    if args.legacy:
        raise UsageError(
            "-l: catalogs of CernVM-FS 2.0 are not read here; its own cvmfs_server import -l migrates them"
        )
    if args.union not in ("", "overlayfs"):
        raise UsageError(f"-f {args.union}: transactions use overlayfs")
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.cli.work_tree import fill
    from swrepo.publish import upstream
    from swrepo.publish.adopt import AdoptOptions, adopt_repository, finish

    server, fqrn = server_side.layout(), args.repository
    card = smart_card(server)
    if args.masterkeycard:
        card.certificate()  # NotFound before anything is copied
    places = server.repository(fqrn)
    if fqrn not in server.repositories() or places.importing.exists():
        adopt_repository(
            server,
            fqrn,
            AdoptOptions(
                keys=Path(args.keys) if args.keys else None,
                storage=Path(args.storage) if args.storage else None,
                owner=args.owner,
                new_whitelist=args.new_whitelist or args.masterkeycard,
                new_key=args.new_key,
                replicable=args.replicable,
                give_storage=args.give,
                stratum0=args.stratum0,
                proxy=args.proxy,
                union=args.union,
                card=card,
                by_card=args.masterkeycard,
                upstream=upstream.parse(args.upstream) if args.upstream else None,
            ),
        )
    places = server.repository(fqrn)  # where its new configuration says that it is stored
    with Progress("written", "files") as progress:
        summary = fill(places, progress)
    for path, why in [*summary.left_out, *summary.failed]:
        note(f"swrepo server import: {path.decode('utf-8', 'backslashreplace')}: {why}")
    if summary.failed or summary.left_out:
        note(f"{fqrn}: the work tree is not whole, so nothing can be published from it; empty it and run import again")
        return SwrepoError.exit_code
    finish(places)
    print(f"{fqrn}: taken over; {summary.files:,} files ({size_text(summary.size)}) in the work tree {places.worktree}")
    return 0
