"""Hash a string or standard input with one of the hash functions that repositories use."""

from __future__ import annotations

import argparse

EXAMPLE = """cvmfs_publish hash -a shake128 < file
openssl x509 -in dair.cvmfs.server.crt -outform der | cvmfs_publish hash -a sha1 -f"""

_NAMES = {"sha1": "SHA1", "rmd160": "RIPEMD160", "shake128": "SHAKE128"}
_BLOCK = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-a", "--algorithm", required=True, choices=[*_NAMES, "md5"], help="which")
    parser.add_argument("-i", "--input", metavar="TEXT", help="in place of standard input")
    parser.add_argument("-f", "--fingerprint", action="store_true", help="with colons, as whitelists have it")
    parser.add_argument("-s", "--split", action="store_true", help="of MD5: the two numbers of catalogs too")


def run(args: argparse.Namespace) -> None:
    import hashlib
    import os
    import struct
    import sys

    from swrepo.errors import UsageError
    from swrepo.format.object_id import Algorithm

    if args.split and args.algorithm != "md5":
        raise UsageError("-s: only MD5 is split, for paths in catalogs")
    algorithm = None if args.algorithm == "md5" else Algorithm[_NAMES[args.algorithm]]
    hasher = hashlib.md5(usedforsecurity=False) if algorithm is None else algorithm.hasher()
    if args.input is not None:
        hasher.update(os.fsencode(args.input))
    else:
        while block := sys.stdin.buffer.read(_BLOCK):
            hasher.update(block)
    digest = hasher.digest()
    suffix = "" if algorithm is None else algorithm.text_suffix
    if args.fingerprint:
        print(digest.hex(":").upper() + suffix.upper())
        return
    numbers = " [{} {}]".format(*struct.unpack("<qq", digest)) if args.split else ""
    print(f"{digest.hex()}{suffix}{numbers}", end="")
