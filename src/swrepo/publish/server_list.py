"""What a server says of itself: `info/v1/repositories.json` and `info/v1/meta.json`. Source: format.md 13."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from swrepo import __version__
from swrepo.config.values import Values
from swrepo.errors import FormatError, NotFound, SwrepoError, UsageError
from swrepo.format import servermeta
from swrepo.format.servermeta import Offer
from swrepo.format.wellknown import MANIFEST, REPOSITORIES_INFO, SERVER_INFO, URL_PREFIX
from swrepo.objects.directory import writing
from swrepo.publish import replica_settings, settings
from swrepo.publish.layout import ServerLayout
from swrepo.system.atomic import make_directory, write_atomically

META = {"administrator": "", "email": "", "organisation": "", "custom": {}}
"""What the original's `meta.json` has, to be filled in."""


def update_list(layout: ServerLayout) -> list[str]:
    """Write the list of the repositories that this server has now; their names."""
    names = [name for name in layout.repositories() if _is_served(layout, name)]
    copies = {name: copied for name in names if (copied := _copied(layout, name))}
    offers = [Offer(name, URL_PREFIX + name) for name in names if name not in copies]
    replicas = [Offer(copied, URL_PREFIX + name) for name, copied in copies.items()]
    _write(
        layout.served / REPOSITORIES_INFO, servermeta.encode(offers, _version(layout), replicas, _geo_update(layout))
    )
    return names


def _geo_update(layout: ServerLayout) -> str:
    """As `date --utc` prints it, which the original does."""
    try:
        changed = layout.geo_database.stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(changed, UTC).strftime("%a %b %e %H:%M:%S UTC %Y")


def read_meta(layout: ServerLayout) -> bytes:
    """What the server says of who runs it; a form to be filled in where it says nothing."""
    try:
        return (layout.served / SERVER_INFO).read_bytes()
    except FileNotFoundError:
        return json.dumps(META, indent=2).encode() + b"\n"


def write_meta(layout: ServerLayout, raw: bytes) -> None:
    """Say who runs it. UsageError where it is no JSON object."""
    _write(layout.served / SERVER_INFO, json_object(raw, "meta.json"))


def json_object(raw: bytes, what: str) -> bytes:
    """`raw`, which is one JSON object in UTF-8. FormatError."""
    try:
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{what} has to be a JSON object, with braces around it")
    return raw


def _is_served(layout: ServerLayout, name: str) -> bool:
    """Whether its storage is a directory here. One whose configuration is broken keeps none from being listed."""
    try:
        return layout.repository(name).is_local
    except SwrepoError:
        return (layout.new_repository(name).storage / MANIFEST).exists()


def _version(layout: ServerLayout) -> str | None:
    """That of this software, unless the server is not to tell it."""
    try:
        found = Values(settings.read(layout.local))
    except NotFound:
        return __version__
    return __version__ if found.switch("CVMFS_PUBLISH_VERSIONS_IN_META_FILE", default=True) else None


def _copied(layout: ServerLayout, name: str) -> str:
    """The repository that it is a copy of; empty where it is none."""
    try:
        places = layout.repository(name)
        return replica_settings.load(places).fqrn if replica_settings.is_replica(places) else ""
    except SwrepoError:
        return ""


def _write(path: Path, data: bytes) -> None:
    with writing(path):
        make_directory(path.parent)
        write_atomically(path, data)
