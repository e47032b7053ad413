"""Makes this server one of those that have a copy of a repository: its configuration, and room for it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.errors import ConfigError, UsageError, WhitelistExpired
from swrepo.format.wellknown import MANIFEST, URL_PREFIX
from swrepo.objects.directory import writing
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.ownership import give_to, owner_of
from swrepo.publish.replica_settings import ReplicaSettings, encode, is_replica
from swrepo.publish.server_list import update_list
from swrepo.publish.storage import prepare
from swrepo.publish.upstream import Upstream
from swrepo.replica.origin import Origin
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.system.lock import exclusive


@dataclass(frozen=True, slots=True)
class ReplicaRequest:
    """What is to be copied, and how. `keys`: files of master keys, or directories of them.

    `alias`: the name of the copy here; empty for the repository's. `stratum1`: where clients find it; empty for the
    usual URL. `upstream`: None for the directory that is served. `owner`: None for who runs this.
    """

    stratum0: str
    keys: tuple[Path, ...] = ()
    alias: str = ""
    stratum1: str = ""
    upstream: Upstream | None = None
    owner: str | None = None
    group: str = ""
    proxy: str = ""
    auto_gc: bool = False
    is_passthrough: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """The new copy's places and settings; `remark` says what will keep it from being filled."""

    places: RepositoryPlaces
    settings: ReplicaSettings
    remark: str = ""


def name_at(stratum0: str, proxy: str = "") -> str:
    """The repository's name. Raises RepositoryNotFound, Unreachable, FormatError, ConfigError."""
    with Origin(ReplicaSettings("unknown", "", stratum0.rstrip("/"), proxy=proxy)) as origin:
        name = origin.claimed_name()
    if not name:
        raise UsageError(f"the manifest at {stratum0} does not say which repository it is of")
    return name


def add_replica(layout: ServerLayout, request: ReplicaRequest, now: datetime | None = None) -> Added:
    """Add it. UsageError where there is a repository of that name, TrustError where the keys are not its keys."""
    fqrn = name_at(request.stratum0, request.proxy)
    places = layout.new_repository(request.alias or fqrn)
    if request.upstream is not None:
        places = places.stored_in(request.upstream)
    _refuse_existing(places)
    owner = owner_of(request.owner)
    wanted = ReplicaSettings(
        fqrn=fqrn,
        owner=owner.name,
        stratum0=request.stratum0.rstrip("/"),
        stratum1=request.stratum1 or f"http://localhost{URL_PREFIX}{places.fqrn}",
        keys=tuple(path.absolute() for path in request.keys),
        proxy=request.proxy,
        group=request.group,
        is_passthrough=request.is_passthrough,
        auto_gc=request.auto_gc,
    )
    remark = _check(wanted, now or datetime.now(UTC))
    with exclusive(places.lock, f"adding the replica {places.fqrn}"), writing(places.configuration):
        if not wanted.is_passthrough:
            prepare(places)
        make_directory(places.configuration)
        server_conf, replica_conf = encode(wanted, places)
        write_atomically(places.replica_conf, replica_conf)
        write_atomically(places.server_conf, server_conf)  # killed before this line, it can be added again
        if os.geteuid() != owner.uid:
            for top in (places.spool, places.storage) if places.storage.is_dir() else (places.spool,):
                give_to(owner, top)
        update_list(layout)
    return Added(places, wanted, remark)


def _refuse_existing(places: RepositoryPlaces) -> None:
    if is_replica(places):
        raise UsageError(f"there is a replica {places.fqrn} on this server already ({places.server_conf})")
    for path in (places.server_conf, places.storage / MANIFEST):
        if path.exists() and (path == places.server_conf or places.is_local):
            raise UsageError(
                f"{places.fqrn} is published on this server ({path}); -n gives its replica another name here"
            )


def _check(wanted: ReplicaSettings, now: datetime) -> str:
    """Whether it may be copied, and is believed; why not yet, where that can be mended here or there."""
    with Origin(wanted) as origin:
        origin.check_replicable()
        if wanted.is_passthrough:
            return ""
        try:
            origin.published(wanted.anchors(), lambda: now, None)
        except (ConfigError, WhitelistExpired) as error:  # the key may come later, and so may the owner's signature
            return str(error)
    return ""
