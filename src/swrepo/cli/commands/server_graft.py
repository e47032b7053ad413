"""Make files that are published by hash and size, without their contents: for data on servers of its own.

For each file that is read, OUT gets an empty file of its name, mode and time, and `.cvmfsgraft-NAME` beside it, which
says what to publish. Without OUT, what that file would hold is printed. Files are cut into chunks of one
size, so that clients ask web servers for parts of them (`CVMFS_EXTERNAL_URL`, in a repository made with -X).
"""

from __future__ import annotations

import argparse

EXAMPLE = """
swrepo server graft /data/events.root -o /cvmfs/dair.cvmfs.server/data
cvmfs_swissknife graft -i /data -o /cvmfs/dair.cvmfs.server/data -c 24
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", nargs="?", metavar="FILE", help="a file, a directory with all below it, '-' for stdin")
    parser.add_argument("-i", dest="given", metavar="FILE", help="the same, as CernVM-FS has it")
    parser.add_argument("-o", dest="output", metavar="OUT", help="a directory, or the file to be grafted")
    parser.add_argument("-v", dest="verbose", action="store_true", help="name each file")
    parser.add_argument("-Z", dest="compression", choices=("none", "zlib"), default="none", help="(default: none)")
    size = "size of chunks in MB; 0: none (default: 24)"
    parser.add_argument("-c", dest="chunk", type=int, default=24, metavar="MB", help=size)
    algorithms = ("sha1", "rmd160", "shake128")
    parser.add_argument("-a", dest="algorithm", choices=algorithms, default="sha1", help="(default: sha1)")
    parser.add_argument("-b", dest="whole", action="store_true", help="name files in chunks as wholes too")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import grafting

    grafting.graft(args)
