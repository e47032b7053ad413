"""What WebDAV says of entries: multi-status documents, and which properties a request asks for. Source: RFC 4918."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from swrepo.format.dirent import Dirent

_SPACE = "{DAV:}"
_ALL = (
    "resourcetype", "displayname", "getcontentlength", "getlastmodified", "creationdate", "getetag", "getcontenttype",
    "supportedlock",
)  # fmt: skip


_LATEST = 253_402_300_799
"""The last second of the year 9999, behind which no date can be written."""


class Shown(NamedTuple):
    """A file or directory at an absolute path of bytes; `tag` is the same as long as a file's content is."""

    path: bytes
    is_directory: bool
    size: int
    mtime: int
    tag: str

    @property
    def media_type(self) -> str:
        """By the name, as web servers do."""
        name = self.path.rpartition(b"/")[2].decode("utf-8", "replace")
        return mimetypes.guess_type(name)[0] or "application/octet-stream"


def shown_as(path: bytes, entry: Dirent) -> Shown:
    """An entry of a repository at a path. A time that is no date becomes the nearest that is one."""
    digest = entry.digest.hex() if entry.digest else f"{entry.rowid:x}-{entry.size:x}-{entry.mtime:x}"
    return Shown(path, entry.is_directory, entry.size, min(max(entry.mtime, 0), _LATEST), digest)


def asked_for(body: bytes) -> tuple[str, ...] | None:
    """The properties that a PROPFIND asks for, as `{namespace}name`; None: all. ValueError where it is none."""
    if not body.strip():
        return None
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ValueError("a document type is not accepted")
    try:
        root = ET.fromstring(body)  # noqa: S314 - short, and without entities
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    if root.tag != f"{_SPACE}propfind":
        raise ValueError(f"not a propfind: {root.tag}")
    wanted = root.find(f"{_SPACE}prop")
    return None if wanted is None else tuple(element.tag for element in wanted)


def multistatus(entries: Iterable[Shown], wanted: tuple[str, ...] | None) -> bytes:
    """The answer to a PROPFIND."""
    responses = "".join(_response(entry, wanted) for entry in entries)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>'.encode()


def address(path: bytes, *, is_directory: bool) -> str:
    """The URL's path of an entry."""
    return quote(path or b"/") + ("/" if is_directory and path else "")


def index(entry: Shown, below: Iterable[Shown]) -> bytes:
    """A directory as a page, for those who come with a browser."""
    rows = "".join(
        f'<li><a href="{address(one.path, is_directory=one.is_directory)}">'
        f"{escape(_name(one))}{'/' if one.is_directory else ''}</a></li>"
        for one in below
    )
    title = escape(entry.path.decode("utf-8", "replace") or "/")
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><ul>{rows}</ul></body></html>"
    ).encode()


def _response(entry: Shown, wanted: tuple[str, ...] | None) -> str:
    known = {name: value for name in _ALL if (value := _value(entry, name)) is not None}
    if wanted is None:
        found, missing = [f"{_SPACE}{name}" for name in known], []
    else:
        found = [tag for tag in wanted if tag.removeprefix(_SPACE) in known and tag.startswith(_SPACE)]
        missing = [tag for tag in wanted if tag not in found]
    parts = [f"<D:href>{address(entry.path, is_directory=entry.is_directory)}</D:href>"]
    if found or not missing:
        props = "".join(f"<D:{name}>{known[name]}</D:{name}>" for name in (tag.removeprefix(_SPACE) for tag in found))
        parts.append(f"<D:propstat><D:prop>{props}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>")
    if missing:
        props = "".join(map(_empty, missing))
        parts.append(f"<D:propstat><D:prop>{props}</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>")
    return f"<D:response>{''.join(parts)}</D:response>"


def _value(entry: Shown, name: str) -> str | None:
    """Of one property, as XML; None where an entry of its kind has no such."""
    values = {
        "resourcetype": "<D:collection/>" if entry.is_directory else "",
        "displayname": escape(_name(entry)),
        "getlastmodified": formatdate(entry.mtime, usegmt=True),
        "creationdate": datetime.fromtimestamp(entry.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "supportedlock": "",
    }
    if not entry.is_directory:
        values["getcontentlength"] = str(entry.size)
        values["getetag"] = escape(f'"{entry.tag}"')
        values["getcontenttype"] = escape(entry.media_type)
    return values.get(name)


def _name(entry: Shown) -> str:
    """A name as people read it: what XML cannot hold is replaced."""
    text = entry.path.rpartition(b"/")[2].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _empty(tag: str) -> str:
    space, _, name = tag.removeprefix("{").rpartition("}")
    return f'<{name} xmlns="{escape(space, {chr(34): "&quot;"})}"/>'
