"""Serve a repository over WebDAV, read-only: macOS (Connect to Server) and Windows (Map Network Drive) mount it.

Nothing has to be installed there but this program: no kernel extension, no driver. Everything is checked as in a mount,
new revisions are followed, and files are kept in the cache. Symbolic links are followed inside the repository. Whoever
can connect to the port can read every file; it is this machine only, unless --bind says otherwise.
"""

from __future__ import annotations

import argparse

from swrepo.cli.output import note
from swrepo.cli.selection import add_selection_options

EXAMPLE = """
swrepo webdav http://cvmfs.example.org/cvmfs/dair.cvmfs.server --key dair.cvmfs.server.pub
macOS:    mount_webdav -S http://127.0.0.1:8080/ ~/dair
Windows:  net use X: http://127.0.0.1:8080/
Linux:    mount -t davfs http://127.0.0.1:8080/ /mnt
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="URL|NAME", help="repository, by its URL, directory or name")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    add_selection_options(parser)


def run(args: argparse.Namespace) -> None:
    from contextlib import closing

    from swrepo.cli.opening import access_request
    from swrepo.cli.selection import select
    from swrepo.client.access import open_access
    from swrepo.client.target import parse
    from swrepo.web.dav import DavSite
    from swrepo.web.listening import serve_site

    request = access_request(select(parse(args.target), args), args.tag, args.hash)
    with open_access(request) as access, closing(DavSite(access)) as site:
        serve_site(
            site,
            bind=args.bind,
            port=args.port,
            ready=lambda url: note(f"{access.fqrn} is at {url}/ over WebDAV; Ctrl-C ends it"),
        )
