"""Announce a repository's newest revision to a notification server (-p), or hear of it there (-s).

Clients whose CVMFS_NOTIFICATION_SERVER is that server then show the revision at once. `swrepo serve` is such a server
by itself, at http://HOST:PORT/api/v1, for the repositories that it serves: there is nothing to announce to it. Others,
such as the gateway of CernVM-FS, have to be told after each publication, by a hook for example. With -s, what is
announced is checked like any manifest; it ends with the first revision above -m, unless -c is given.
"""

from __future__ import annotations

import argparse

from swrepo.cli.selection import add_access_options

EXAMPLE = """
swrepo server notify -p -u http://gateway.example.org:4929/api/v1 -r http://127.0.0.1:8000/cvmfs/dair.cvmfs.server
swrepo server notify -s -u http://127.0.0.1:8000/api/v1 -t dair.cvmfs.server -c
"""


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-p", dest="publish", action="store_true", help="announce what -r is at")
    what.add_argument("-s", dest="subscribe", action="store_true", help="hear of the repository -t")
    parser.add_argument("-u", dest="server", required=True, metavar="URL", help="the notification server")
    parser.add_argument("-r", dest="repository", metavar="URL|DIR", help="where the repository is published")
    parser.add_argument("-t", dest="topic", metavar="NAME|URL", help="the repository to hear of")
    parser.add_argument("-m", dest="above", type=int, default=0, metavar="N", help="only revisions above this one")
    parser.add_argument("-c", dest="continuous", action="store_true", help="go on after the first revision")
    parser.add_argument("-v", dest="verbose", action="store_true", help="print the manifest, too")
    add_access_options(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import notifying

    if args.publish:
        notifying.announce(args)
    else:
        notifying.hear(args)
