"""What the client needs to open a selected repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swrepo.client.config_repository import CopiedSources
from swrepo.client.places import Places
from swrepo.client.request import AccessRequest
from swrepo.client.selection import Given, Selection, select
from swrepo.client.target import Target
from swrepo.config.files import World, load
from swrepo.config.parameters import interpret
from swrepo.net.http import Timeouts
from swrepo.net.routes import parse_proxies


def sources(places: Places) -> CopiedSources:
    """Where the configuration of a user at `places` comes from, the configuration repository included."""

    def request_for(name: str) -> AccessRequest:
        return access_request(select(Target(None, name, b""), Given(), places), places.environment)

    general = interpret(load(places.configurations, None, None, World(places.environment)))
    base = Path(general.cache_base) if general.cache_base else places.cache_base
    return CopiedSources(places.environment, request_for, base)


def access_request(
    selection: Selection, environment: Mapping[str, str], tag: str | None = None, root_hash: str | None = None
) -> AccessRequest:
    """For the newest revision or the one that is named; variant symlinks see `environment` and the configuration."""
    parameters = selection.parameters
    network = parameters.network
    servers = network.servers
    return AccessRequest(
        urls=selection.urls,
        keys=selection.keys,
        cache=selection.cache,
        caches=selection.caches,
        quota=parameters.quota_limit,
        fqrn=selection.fqrn,
        tag=tag or parameters.repository_tag,
        date=parameters.repository_date,
        root_hash=root_hash or parameters.root_hash,
        follow=parameters.auto_update,
        blacklists=selection.blacklists,
        proxies=parse_proxies(servers.proxies) if servers.proxies else (),
        timeouts=Timeouts(servers.timeout_direct, servers.timeout, network.low_speed_limit),
        max_retries=network.max_retries,
        network=network,
        variables={**environment, **selection.variables},
        origins=selection.origins,
    )
