"""Make the directories that a repository is stored in, with nothing in them."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "cvmfs_server skeleton -o cvmfs /srv/cvmfs/dair.cvmfs.server"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="is made if it is not there")
    parser.add_argument("-o", dest="owner", metavar="USER", help="whom they shall belong to (default: you)")


def run(args: argparse.Namespace) -> None:
    from swrepo.objects.directory import DirectoryObjects
    from swrepo.publish.ownership import give_to, owner_of

    owner = owner_of(args.owner)
    directory = Path(args.directory)
    DirectoryObjects(directory).create()
    give_to(owner, directory)
    print(f"{directory} is ready to take objects, and belongs to {owner.name}")
