"""Write the keys of a repository to one file, which only its owner can read, to be kept on another machine.

With --encrypt it is of no use to anybody without the pass phrase, which is asked for, or read from a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.output import note

EXAMPLE = "swrepo server keys backup --encrypt /media/safe/dair.keys dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a new file")
    parser.add_argument("repository", nargs="?", metavar="NAME", help="default: that of the work tree, or the only one")
    parser.add_argument("--encrypt", action="store_true", help="with a pass phrase")
    parser.add_argument(
        "--passphrase-file", metavar="FILE", help="its first line is the pass phrase; implies --encrypt"
    )
    parser.add_argument("--no-master", action="store_true", help="leave the master key out, which is kept elsewhere")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.passphrase import new_passphrase
    from swrepo.objects.directory import writing
    from swrepo.publish.key_archive import KeyArchive, write_new

    server = server_side.layout()
    places = server.repository(server_side.which(server, args.repository))
    archive = KeyArchive.of(places.keys, places.fqrn, without_master=args.no_master)
    secret = new_passphrase(args.passphrase_file) if args.encrypt or args.passphrase_file else None
    target = Path(args.file)
    with writing(target):
        write_new(target, archive.encode(secret))
    print(f"{target}: {len(archive.files)} key files of {places.fqrn}{', encrypted' if secret else ''}")
    if not archive.has_master:
        note(f"the master key {places.keys.master} is not in it")
