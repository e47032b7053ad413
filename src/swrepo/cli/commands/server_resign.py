"""Sign the whitelist again with the master key, so that clients go on believing the repository after the old date.

With -p the manifest is signed again instead, with the repository's key and certificate of now; the revision stays.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from swrepo.errors import UsageError

EXAMPLE = """
swrepo server resign -d 30 dair.cvmfs.server
swrepo server resign -k /media/safe dair.cvmfs.server
swrepo server resign -p dair.cvmfs.server
"""

_LONG = 30


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "repositories", nargs="*", metavar="NAME", help="default: that of the work tree, or the only one"
    )
    parser.add_argument("-d", dest="days", type=int, help="for how long (default: 30)")
    parser.add_argument(
        "-k", dest="master", metavar="DIR|FILE", help="where the master key is, if it is kept elsewhere"
    )
    parser.add_argument(
        "-w", dest="whitelist", metavar="FILE", help="sign this whitelist, of a repository of any server"
    )
    parser.add_argument("-p", dest="manifest", action="store_true", help="sign the manifest, not the whitelist")
    parser.add_argument("-f", dest="force", action="store_true", help=f"do not ask about more than {_LONG} days")


def run(args: argparse.Namespace) -> None:
    if args.manifest and (args.days is not None or args.whitelist or args.master):
        raise UsageError("-p signs the manifest, which has no end and needs no master key: leave -d, -w and -k away")
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.publish.keyring import WHITELIST_DAYS
    from swrepo.publish.renewal import Renewer

    days = WHITELIST_DAYS if args.days is None else args.days
    _check_days(days, force=args.force)
    server = server_side.layout()
    renewer = Renewer(args.days, Path(args.master) if args.master else None, smart_card(server))
    if args.whitelist:
        if len(args.repositories) != 1:
            raise UsageError("-w needs the name of the whitelist's repository")
        (fqrn,) = args.repositories
        ends = renewer.whitelist_file(Path(args.whitelist), fqrn, server.repository(fqrn).keys)
        print(f"{args.whitelist}: valid until {ends:%Y-%m-%d %H:%M} UTC")
        return
    for fqrn in server_side.several(server, args.repositories):
        places = server.repository(fqrn)
        if args.manifest:
            print(f"{fqrn}: revision {renewer.manifest(places).revision} is signed again")
        else:
            print(f"{fqrn}: the whitelist is valid until {renewer.whitelist(places):%Y-%m-%d %H:%M} UTC")


def _check_days(days: int, *, force: bool) -> None:
    """As the original, ask where a whitelist is to hold for longer than usual."""
    if days < 1:
        raise UsageError(f"-d {days}: a whitelist is valid for a day at least")
    if days <= _LONG or force:
        return
    why = f"a whitelist of {days} days lets whoever gets at the repository's key use it for as long"
    if not sys.stdin.isatty():
        raise UsageError(f"{why}; -f if that is what you want")
    print(why, file=sys.stderr)
    if input("Do it (y/N)? ").strip().lower() != "y":
        raise UsageError("nothing was signed")
