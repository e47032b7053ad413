"""OpenStack's metadata service for one machine: QEMU starts it for each connection to its address.

`python -m swrepo.image.metadata FILE` answers one request of HTTP on standard input; FILE is JSON: path -> text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from swrepo.image.seed import LATEST

ADDRESS = "169.254.169.254"
NETWORK = "169.254.0.0/16"
"""What QEMU's network must be for the address to be in it."""

VERSIONS = (
    *("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15"),
    *("2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27"),
)
"""The names of old forms under which the newest is to be had, too: whoever asks takes the newest that it knows."""

_LONGEST_LINE = 8192
_MOST_HEADERS = 100


def answer(documents: Mapping[str, str], path: str) -> tuple[HTTPStatus, str]:
    """What a GET of `path` gives: a document, or the names in a directory of them."""
    wanted = "/".join(filter(None, path.partition("?")[0].split("/")))
    top, _, rest = wanted.partition("/")
    version, _, name = rest.partition("/")
    if top == "openstack" and version in VERSIONS:
        wanted = f"{LATEST}/{name}".rstrip("/")
    if wanted in documents:
        return HTTPStatus.OK, documents[wanted]
    below = f"{wanted}/" if wanted else ""
    names = {known.removeprefix(below).partition("/")[0] for known in documents if known.startswith(below)}
    if wanted == "openstack" and names:
        names |= set(VERSIONS)
    return (HTTPStatus.OK, "\n".join(sorted(names))) if names else (HTTPStatus.NOT_FOUND, "no such document\n")


def respond(documents: Mapping[str, str], request: BinaryIO, response: BinaryIO) -> None:
    """Read one request and answer it. The connection is to be closed then."""
    words = request.readline(_LONGEST_LINE).decode("latin-1").split()
    for _ in range(_MOST_HEADERS):
        if not request.readline(_LONGEST_LINE).strip():
            break
    if len(words) != 3:
        status, text = HTTPStatus.BAD_REQUEST, "that is not HTTP\n"
    elif words[0] not in ("GET", "HEAD"):
        status, text = HTTPStatus.METHOD_NOT_ALLOWED, "documents can be read, no more\n"
    else:
        status, text = answer(documents, words[1])
    body = text.encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=UTF-8\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    response.write(head.encode() + (b"" if words[:1] == ["HEAD"] else body))
    response.flush()


def command(file: Path) -> list[str]:
    """The words that answer one connection with the documents in `file`."""
    return [sys.executable, "-I", "-m", "swrepo.image.metadata", str(file)]


def main() -> None:
    """Answer one request."""
    respond(json.loads(Path(sys.argv[1]).read_text("utf-8")), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
