"""`swrepo.open`: from a URL, a directory or a name to a repository."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from swrepo.api.os_errors import raises_os_errors
from swrepo.api.repository import Repository
from swrepo.client.access import open_access
from swrepo.client.opening import access_request, sources
from swrepo.client.places import places_in
from swrepo.client.selection import Given, select
from swrepo.client.target import parse
from swrepo.config.files import Setting
from swrepo.errors import UsageError

log = logging.getLogger(__name__)

AnyFile: TypeAlias = "str | os.PathLike[str]"
Keys: TypeAlias = "AnyFile | Iterable[AnyFile] | None"


@raises_os_errors
def open_repository(
    location: AnyFile,
    *,
    key: Keys = None,
    tag: str | None = None,
    hash: str | None = None,  # noqa: A002 - the name that every command has for it
    cache: AnyFile | None = None,
    proxy: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Repository:
    """Open a repository for reading, without a mount; `swrepo.open` is this function.

    `location` is its URL (`http://host/cvmfs/NAME`), the directory that it is served from, or its name where the
    configuration knows the servers. `key`: file or files of the master public keys to trust, by default those of the
    configuration. `tag` or `hash`: a revision that stays, instead of the newest. `cache`: the directory of verified
    objects, by default the one that mounts use. `proxy` is like CVMFS_HTTP_PROXY; `settings` are parameters that win
    over every configuration file.

    Raises UsageError, ConfigError; RepositoryNotFound; Unreachable, which is a ConnectionError or TimeoutError;
    TrustError, CorruptObject; PathNotFound (the tag).
    """
    target = parse(os.fspath(location))
    if target.path:
        raise UsageError(f"{location}: a whole repository is opened; give the path in it to its methods")
    places = places_in(os.environ)
    given = Given(_files(key), Path(cache) if cache else None, _settings(proxy, settings))
    selection = select(target, given, places, None if target.url and given.keys else sources(places))
    for remark in selection.remarks:
        log.warning("%s", remark)
    return Repository(open_access(access_request(selection, os.environ, tag, hash)))


def _files(key: Keys) -> tuple[Path, ...]:
    if key is None:
        return ()
    return (Path(key),) if isinstance(key, (str, os.PathLike)) else tuple(map(Path, key))


def _settings(proxy: str | None, settings: Mapping[str, str] | None) -> dict[str, Setting]:
    found = {name: Setting(value, "settings") for name, value in (settings or {}).items()}
    if proxy is not None:
        found["CVMFS_HTTP_PROXY"] = Setting(proxy, "proxy")
    return found
