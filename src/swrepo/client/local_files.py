"""What files can be on the system that a copy is made on: names that it does not hold, links that have a type."""

from __future__ import annotations

import errno
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

REFUSALS = (errno.EILSEQ, errno.EINVAL, errno.ENAMETOOLONG)
"""What a file system answers to a name or link that it does not hold."""

_FORBIDDEN = re.compile(rb'[\x00-\x1f<>:"\\|?*]')
_DEVICE = re.compile(rb"(?:con|prn|aux|nul|com[1-9]|lpt[1-9]) *(?:\..*)?", re.IGNORECASE | re.DOTALL)
_PROBE = b".swrepo-case-%d"


@dataclass(frozen=True, slots=True)
class LocalRules:
    """`objection` says why a name cannot be here, or None; POSIX leaves that to the file system.

    `typed_links`: a link says whether it leads to a directory.
    """

    objection: Callable[[bytes], str | None]
    typed_links: bool


def windows_objection(name: bytes) -> str | None:
    """Why Windows has no file of this name."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return "its name is no UTF-8"
    if (found := _FORBIDDEN.search(name)) is not None:
        return f"its name holds {found[0].decode()!r}"
    if name.endswith((b".", b" ")):
        return "its name ends with a dot or a space"
    if _DEVICE.fullmatch(name):
        return "its name is that of a device"
    return None


POSIX = LocalRules(lambda _name: None, typed_links=False)
WINDOWS = LocalRules(windows_objection, typed_links=True)


def of_this_system() -> LocalRules:
    """The rules that hold here."""
    return WINDOWS if sys.platform == "win32" else POSIX


def folds_case(directory: bytes) -> bool:
    """Whether names that differ in case only are one file in `directory`: usual on Windows and macOS. OSError."""
    probe = os.path.join(directory, _PROBE % os.getpid())
    with open(probe, "wb"):
        pass
    try:
        return os.path.lexists(os.path.join(directory, os.path.basename(probe).upper()))
    finally:
        os.unlink(probe)


def folded(path: bytes) -> str:
    """The same for all names that are one on such a file system."""
    return unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape").casefold())
