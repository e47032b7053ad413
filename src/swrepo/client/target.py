"""What a typed `URL/path` means: which repository, and which path in it.

http://host/cvmfs/sw.example.org/lib/x      the component after `cvmfs` is the repository, the rest a path in it
http://host/any/where/sw.example.org//lib   `//` divides the two where nothing else tells
file:///srv/cvmfs/sw.example.org/lib        the directory that holds `.cvmfspublished`
./srv/sw.example.org/lib                    the same
sw.example.org/lib, /cvmfs/sw.example.org/lib    by its name: the configuration knows the servers
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from swrepo.errors import UsageError
from swrepo.format.paths import normalise
from swrepo.format.wellknown import MANIFEST, is_fqrn

_HTTP = ("http://", "https://")
_FILE = "file://"
_CVMFS = "cvmfs"


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is None where only the repository's name was given; `fqrn` is None for a directory whose name is none."""

    url: str | None
    fqrn: str | None
    path: bytes

    @property
    def name(self) -> str:
        """What to call the repository in messages."""
        return self.fqrn or self.url or "?"


def parse(text: str, is_published: Callable[[Path], bool] | None = None) -> Target:
    """Split `text`. `is_published` tells whether a local directory holds a manifest. Raises UsageError."""
    published = is_published or (lambda directory: (directory / MANIFEST).exists())
    if text.startswith(_HTTP):
        return _of_url(text)
    if text.startswith(_FILE):
        path = unquote(urlsplit(text).path)
        drive = os.path.splitdrive(path[1:])[0]  # Windows: file:///C:/srv
        return _of_directory(text, path[1:] if drive else path, published)
    if "://" in text:
        raise UsageError(f"{text}: only http://, https:// and file:// URLs are understood")
    if text.startswith(("/", "./", "../")) or text in (".", ".."):
        return _of_directory(text, text, published)
    name, _, inner = text.partition("/")
    if _is_full_name(name):
        return Target(None, name, normalise(inner))
    return _of_directory(text, text, published)


def _of_url(text: str) -> Target:
    address = urlsplit(text)
    if address.query or address.fragment:
        raise UsageError(f"{text}: a repository's URL has no '?' and no '#' (write them as %3F and %23)")
    base = f"{address.scheme}://{address.netloc}"
    root, divided, inner = address.path.partition("//")
    if divided:
        return _url_target(base, [part for part in root.split("/") if part], inner)
    parts = [part for part in address.path.split("/") if part]
    at = _repository_component(parts)
    if at is None:
        raise UsageError(f"{text}: which part is the repository? Write '//' between its URL and the path in it")
    return _url_target(base, parts[: at + 1], "/".join(parts[at + 1 :]))


def _repository_component(parts: list[str]) -> int | None:
    """Index of the component that names the repository: after `cvmfs`, else the only one made like a host name."""
    if _CVMFS in parts[:-1] and is_fqrn(parts[parts.index(_CVMFS) + 1]):
        return parts.index(_CVMFS) + 1
    candidates = [index for index, part in enumerate(parts) if _is_full_name(part)]
    return candidates[0] if len(candidates) == 1 else None


def _url_target(base: str, parts: list[str], inner: str) -> Target:
    name = parts[-1] if parts else ""
    url = "/".join([base, *parts])
    return Target(url, name if is_fqrn(name) else None, normalise(unquote(inner, errors="surrogateescape")))


def _of_directory(text: str, path: str, is_published: Callable[[Path], bool]) -> Target:
    root_text, divided, inner_text = path.lstrip("/").partition("//")
    start = Path("/" + root_text if path.startswith("/") else root_text) if divided else Path(path)
    for root in [start] if divided else [start, *start.parents]:
        if is_published(root):
            inner = inner_text if divided else start.relative_to(root).as_posix()
            name = root.absolute().name
            return Target(root.absolute().as_uri(), name if is_fqrn(name) else None, normalise(inner))
    if start.parts[:2] == ("/", _CVMFS) and len(start.parts) > 2 and is_fqrn(start.parts[2]):
        return Target(None, start.parts[2], normalise("/".join(start.parts[3:])))
    raise UsageError(f"{text} is neither a repository's URL or name nor a directory that holds {MANIFEST}")


def _is_full_name(part: str) -> bool:
    return "." in part.strip(".") and is_fqrn(part)
