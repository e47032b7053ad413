"""File bundles of CernVM-FS 2.14: `.cvmfsbundle-NAME` lists what is opened after the file NAME beside it.

Source: format.md 16; lines before the document that begin with `#` are passed over, and paths without a slash at the
start are counted from the directory of the bundle, as the original does.
"""

from __future__ import annotations

import json

from swrepo.errors import FormatError
from swrepo.format.paths import ROOT, normalise

PREFIX = b".cvmfsbundle-"
MOST_BYTES = 16 << 20
_NAME = "CVMFS_BUNDLE"
_MOST = 100_000


def parse(data: bytes, directory: bytes) -> tuple[bytes, ...]:
    """The paths that a bundle in `directory` lists, without those that can be none. FormatError where it is none."""
    if len(data) > MOST_BYTES:
        raise FormatError(f"a bundle of more than {MOST_BYTES} bytes")
    while data.startswith(b"#"):
        data = data.partition(b"\n")[2]
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a bundle that is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("name") != _NAME:
        raise FormatError(f"a bundle without the name {_NAME}")
    version = document.get("version")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise FormatError(f"a bundle of version {version!r:.40}; 1 can be read")
    listed = document.get("dependencies")
    if not isinstance(listed, list) or len(listed) > _MOST:
        raise FormatError(f"a bundle without a list of dependencies, or with more than {_MOST}")
    found: dict[bytes, None] = {}
    for item in listed:
        path = _path(item, directory)
        if path:
            found[path] = None
    return tuple(found)


def _path(item: object, directory: bytes) -> bytes:
    if not isinstance(item, str) or not item:
        return ROOT
    try:
        raw = item.encode("utf-8", "surrogateescape")
        return normalise(raw if raw.startswith(b"/") else directory + b"/" + raw)
    except (FormatError, UnicodeEncodeError):
        return ROOT
