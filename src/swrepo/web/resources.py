"""Which request path names what: the only names that are ever served, and the headers that caches need with them.

Everything that is not known to belong to a repository's public face does not exist here: keys, `data/txn`, dotfiles
other than `.cvmfs*`, and whatever else lies in the directory. Source: format.md 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from swrepo.format.wellknown import REPOSITORIES_INFO, SERVER_INFO, STATISTICS, STATISTICS_PAGE, URL_PREFIX, is_fqrn

_HEX = re.compile(r"[0-9a-f]{2}")
_OBJECT = re.compile(r"[0-9a-f]{38}(-rmd160|-shake128)?[A-Z]?")
_DOCUMENT = re.compile(r"\.cvmfs[A-Za-z0-9_.-]*")

_AUTHORITY = re.compile(r"https?://[^/]*")  # servers must take the form of target that proxies are sent, too

_STATISTICS = {STATISTICS: "application/octet-stream", STATISTICS_PAGE: "text/html; charset=utf-8"}

_SHORT, _LONG = "max-age=61", "max-age=259200"
"""Seconds: what may change, and what never does. Squid's defaults do not keep anything for a minute or less."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A file below a served directory. `parts` are plain names: no separators, no `.` or `..`."""

    parts: tuple[str, ...]
    content_type: str
    cache_control: str

    @property
    def is_repository_list(self) -> bool:
        """Whether it can be made up from what is served, where it is not on the disk."""
        return "/".join(self.parts) == REPOSITORIES_INFO


def resolve(target: str) -> Resource | None:
    """What a request's target (path and query as they were sent) names; None where that is nothing.

    Percent-escapes are decoded once, as the standard says: an escaped escape is an odd file name, which no object has.
    """
    raw = _AUTHORITY.sub("", target.partition("?")[0], count=1)
    try:
        path = unquote_to_bytes(raw).decode("ascii")
    except UnicodeDecodeError:
        return None
    if not path.startswith(URL_PREFIX):
        return None
    return _below(tuple(path.removeprefix(URL_PREFIX).split("/")))


def _below(parts: tuple[str, ...]) -> Resource | None:
    match parts:
        case ("info", "v1", _) if "/".join(parts) in (REPOSITORIES_INFO, SERVER_INFO):
            return Resource(parts, "application/json", _SHORT)
        case (fqrn, document) if is_fqrn(fqrn) and _DOCUMENT.fullmatch(document):
            kind = "application/json" if document.endswith(".json") else "application/x-cvmfs"
            return Resource(parts, kind, _SHORT)
        case (fqrn, "stats", name) if is_fqrn(fqrn) and f"stats/{name}" in _STATISTICS:
            return Resource(parts, _STATISTICS[f"stats/{name}"], _SHORT)
        case (fqrn, "data", prefix, name) if is_fqrn(fqrn) and _HEX.fullmatch(prefix) and _OBJECT.fullmatch(name):
            return Resource(parts, "application/octet-stream", _LONG)
    return None
