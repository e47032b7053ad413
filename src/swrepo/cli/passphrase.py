"""A pass phrase: from a file's first line, or from the person at the terminal."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from swrepo.errors import UsageError

_SHORTEST = 8


def passphrase(file: str | None) -> bytes:
    """The pass phrase of something that exists."""
    if file is not None:
        return Path(file).read_bytes().partition(b"\n")[0].rstrip(b"\r")
    if not sys.stdin.isatty():
        raise UsageError("the pass phrase has to be typed at a terminal, or to be in a file: --passphrase-file FILE")
    return getpass.getpass("Pass phrase: ").encode()


def new_passphrase(file: str | None) -> bytes:
    """One that is asked for twice. UsageError where it is too short, or differs the second time."""
    found = passphrase(file)
    if len(found) < _SHORTEST:
        raise UsageError(f"a pass phrase of {len(found)} bytes is soon guessed; {_SHORTEST} are the least")
    if file is None and getpass.getpass("Again: ").encode() != found:
        raise UsageError("the two are not the same; nothing was written")
    return found
