"""What `swrepo doctor` is asked about: this machine, a server, a repository, or a path in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swrepo.cli.administration.live import KIND, mount_table
from swrepo.cli.configured import full_name, settings
from swrepo.cli.places import Places
from swrepo.cli.pointing import server_url
from swrepo.client.target import Target, parse
from swrepo.config.parameters import interpret
from swrepo.errors import SwrepoError, UsageError
from swrepo.format.wellknown import is_fqrn

_ALL = "cvmfs"


@dataclass(frozen=True, slots=True)
class Subject:
    """`targets`: repositories to be looked at. `server`: the URL below which a server has its repositories."""

    targets: tuple[Target, ...] = ()
    server: str | None = None


def subject(text: str | None, places: Places) -> Subject:
    """What `text` means; without it, all that is configured. UsageError."""
    if text is None:
        return Subject(tuple(Target(None, name, b"") for name in configured(places)))
    if (name := _mounted(text, places)) is not None:
        return Subject((Target(None, name, b""),))
    if "://" in text or text.startswith(("/", ".")) or Path(text).is_dir():
        return _by_url(text)
    if is_fqrn(text) and _has_servers(full_name(text, places), places):
        return Subject((Target(None, full_name(text, places), b""),))
    return Subject(server=server_url(text))


def configured(places: Places) -> tuple[str, ...]:
    """The full names in CVMFS_REPOSITORIES; none where the configuration cannot be read, which is said elsewhere."""
    try:
        return tuple(full_name(name, places) for name in interpret(settings(None, places)).repositories)
    except SwrepoError:
        return ()


def _by_url(text: str) -> Subject:
    try:
        target = parse(text)
    except UsageError:
        if text.startswith(("http://", "https://")):
            return Subject(server=server_url(text))
        raise
    return Subject((Target(target.url, target.fqrn, b""),))


def _mounted(text: str, places: Places) -> str | None:
    """The repository that a path lies in, told from the table of mounts: the path itself is not touched."""
    if not text.startswith("/"):
        return None
    path = Path(text)
    points = [(Path(entry.mountpoint), entry.source) for entry in mount_table() if entry.kind == KIND]
    for point, source in sorted([*points, (places.mountpoint, _ALL)], reverse=True):
        if path.is_relative_to(point):
            inner = path.relative_to(point).parts
            if source != _ALL:
                return source
            return inner[0] if inner and is_fqrn(inner[0]) else None
    return None


def _has_servers(fqrn: str, places: Places) -> bool:
    try:
        return bool(interpret(settings(fqrn, places)).server_urls)
    except SwrepoError:
        return "." in fqrn
