"""Replace the key and certificate that a repository is signed with. Its master key, and what clients have, stays.

The whitelist lists the old certificate beside the new one for 30 days, for replicas that lag. Needs the master key.
A client that meets an old copy of the whitelist in a proxy keeps its revision for some minutes; to spare it that, run
--announce first, and the rest an hour later. Interrupted, run it again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.arguments import add_repository_argument
from swrepo.errors import UsageError

EXAMPLE = """
swrepo server keys rotate dair.cvmfs.server
swrepo server keys rotate --revoke dair.cvmfs.server    # the old key is in wrong hands
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_repository_argument(parser)
    parser.add_argument("--announce", action="store_true", help="only make the new key and list it")
    parser.add_argument("--revoke", action="store_true", help="do not list the old certificate any more")
    parser.add_argument("-d", dest="days", type=int, help="for how long the whitelist is signed (default: 30)")
    parser.add_argument(
        "-k", dest="master", metavar="DIR|FILE", help="where the master key is, if it is kept elsewhere"
    )


def run(args: argparse.Namespace) -> None:
    if args.announce and args.revoke:
        raise UsageError("--revoke is for the rotation itself, not for --announce")
    from swrepo.cli import server_side
    from swrepo.cli.cards import smart_card
    from swrepo.publish.renewal import Renewer
    from swrepo.publish.rotation import announce, rotate

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    renewer = Renewer(args.days, Path(args.master) if args.master else None, smart_card(server))
    if args.announce:
        done = announce(places, renewer)
        print(f"{places.fqrn}: the whitelist lists a new key until {done.whitelist_ends:%Y-%m-%d %H:%M} UTC")
        print(f"Go on in an hour, when no proxy has the old whitelist: swrepo server keys rotate {places.fqrn}")
        return
    done = rotate(places, renewer, revoke=args.revoke)
    revision = done.manifest.revision if done.manifest else 0
    print(
        f"{places.fqrn}: revision {revision} is signed with a new key; whitelist until {done.whitelist_ends:%Y-%m-%d}"
    )
    print("Back it up: swrepo server keys backup FILE")
