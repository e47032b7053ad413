"""Put the keys of a repository back from a backup. Nothing that is there is overwritten."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "swrepo server keys restore /media/safe/dair.keys"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what 'swrepo server keys backup' wrote")
    parser.add_argument("--passphrase-file", metavar="FILE", help="its first line is the pass phrase")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import server_side
    from swrepo.cli.passphrase import passphrase
    from swrepo.publish.key_archive import KeyArchive
    from swrepo.publish.layout import KeyFiles

    archive = KeyArchive.decode(Path(args.file).read_bytes(), lambda: passphrase(args.passphrase_file))
    server = server_side.layout()
    server.repository(archive.fqrn)  # raises where that can be no name
    written = archive.restore(KeyFiles.of(server.keys, archive.fqrn))
    for path in written:
        print(f"restored {path}")
    if not written:
        print(f"{archive.fqrn}: all keys of the backup are there already")
