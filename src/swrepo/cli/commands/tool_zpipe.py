"""Compress standard input as objects are compressed (zlib), or decompress it, to standard output."""

from __future__ import annotations

import argparse

EXAMPLE = "cvmfs_publish zpipe -d < /srv/cvmfs/dair.cvmfs.server/data/c4/...C > catalog.db"

_BLOCK = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-d", "--decompress", action="store_true", help="decompress")
    parser.add_argument("-i", "--input", metavar="FILE", help="in place of standard input")


def run(args: argparse.Namespace) -> None:
    import sys
    import zlib
    from contextlib import ExitStack

    from swrepo.errors import FormatError, NotFound

    with ExitStack() as stack:
        try:
            source = stack.enter_context(open(args.input, "rb")) if args.input else sys.stdin.buffer
        except FileNotFoundError as error:
            raise NotFound(f"there is no file {args.input}") from error
        out = sys.stdout.buffer
        if not args.decompress:
            packing = zlib.compressobj()
            while block := source.read(_BLOCK):
                out.write(packing.compress(block))
            out.write(packing.flush())
        else:
            unpacking = zlib.decompressobj()
            try:
                while not unpacking.eof and (block := source.read(_BLOCK)):
                    while block and not unpacking.eof:
                        out.write(unpacking.decompress(block, _BLOCK))
                        block = unpacking.unconsumed_tail
                out.write(unpacking.flush())
            except zlib.error as error:
                raise FormatError(f"invalid deflate data: {error}") from error
            if not unpacking.eof or unpacking.unused_data or source.read(1):
                raise FormatError("invalid or incomplete deflate data")
        out.flush()
