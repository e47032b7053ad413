"""What the client needs to open a selected repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swrepo.client.access import AccessRequest
from swrepo.client.config_repository import CopiedSources
from swrepo.client.places import Places
from swrepo.client.selection import Given, Selection, select
from swrepo.client.target import Target
from swrepo.config.files import World, load
from swrepo.config.parameters import interpret
from swrepo.net.http import Timeouts
from swrepo.net.options import NetworkOptions
from swrepo.net.routes import parse_proxies

_REDIRECTS = 4


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
        proxies=parse_proxies(network.proxies),
        timeouts=Timeouts(network.timeout_direct, network.timeout, network.low_speed_limit),
        max_retries=network.max_retries,
        network=NetworkOptions(
            back_off=network.back_off_first,
            back_off_limit=network.back_off_limit,
            server_reset=network.server_reset,
            proxy_reset=network.proxy_reset,
            max_redirects=_REDIRECTS if network.follow_redirects else 0,
            ca_bundle=network.ca_bundle,
            ipv4_only=network.ipv4_only,
        ),
        variables={**environment, **selection.variables},
    )
