"""Show all that is known about a path of a repository."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from swrepo.cli.describe import local_time, record, xattr_record
from swrepo.cli.output import write_json
from swrepo.cli.selection import add_selection_options

if TYPE_CHECKING:
    from swrepo.cli.opening import Opened

EXAMPLE = "swrepo stat http://127.0.0.1:8000/cvmfs/dair.cvmfs.server/Hello --key dair.cvmfs.server.pub"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="+", metavar="URL/PATH", help="repository and path in it")
    add_selection_options(parser)
    parser.add_argument("--json", action="store_true", help="a JSON document per path")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli.opening import open_target

    for number, text in enumerate(args.targets):
        with open_target(args, text) as opened:
            found = _describe(opened)
        if args.json:
            write_json(found)
            continue
        if number:
            print()
        for name, value in found.items():
            print(f"{name + ':':<13} {_line(name, value)}")


def _describe(opened: Opened) -> dict[str, Any]:
    path = opened.target.path
    entry = opened.revision.lookup(path)
    found = {"repository": opened.fqrn, "revision": opened.revision.number, **record(path, entry, opened.variables)}
    if entry.is_symlink:
        found["leads to"] = opened.revision.readlink(path, opened.variables).decode("utf-8", "surrogateescape")
    if entry.is_regular:
        found["stored"] = entry.compression.name.lower()
    if entry.is_chunked:
        chunks = opened.revision.chunks(path)
        found["chunks"] = [
            {"offset": chunk.offset, "size": chunk.size, "hash": entry.chunk_id(chunk).text} for chunk in chunks
        ]
    if attributes := opened.revision.xattrs(path):
        found["xattrs"] = xattr_record(attributes)
    return found


def _line(name: str, value: Any) -> str:
    if name == "mtime":
        return local_time(value, "%Y-%m-%d %H:%M:%S %z")
    if name == "chunks":
        rows = [f"{chunk['offset']:>12} {chunk['size']:>10} {chunk['hash']}" for chunk in value]
        return "\n".join([str(len(rows)), *rows])
    if isinstance(value, dict):
        return ", ".join(f"{key}=0x{item}" for key, item in value.items())
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
