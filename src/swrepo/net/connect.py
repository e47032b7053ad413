"""Puts together what fetches over the network: client, routes, names, upkeep; for a repository, for external files.

The composition root of this layer: everything else here is given what it uses.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from swrepo import __version__
from swrepo.config.network import NetworkParameters, ServerParameters
from swrepo.net.distance import Distances
from swrepo.net.easy import EasyOptions
from swrepo.net.event_stream import EventStream
from swrepo.net.http import Authorities, HttpClient, Timeouts, find_ca_bundle
from swrepo.net.metalink import Metalinks
from swrepo.net.names import Names
from swrepo.net.pac import replace_auto
from swrepo.net.remote import Patience, RemoteRepository
from swrepo.net.routes import DIRECT, ProxyGroups, Routes, parse_proxies
from swrepo.net.tokens import Tokens
from swrepo.net.upkeep import Configured, Upkeep
from swrepo.system import activity
from swrepo.system.user import user_id

_REDIRECTS = 4
_USER_AGENT = f"cvmfs swrepo {__version__}"
_TIMEOUTS = Timeouts()
_UUID_VARIABLE = "CERNVM_UUID"


@dataclass(frozen=True, slots=True)
class Chain:
    """Servers in order, and the proxies before them."""

    servers: tuple[str, ...]
    proxies: ProxyGroups = DIRECT
    timeouts: Timeouts = _TIMEOUTS
    max_retries: int = 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection may know of the machine. `kept_proxies`: a file for the proxies that a PAC file said."""

    environment: Mapping[str, str] = field(default_factory=dict)
    kept_proxies: Path | None = None


class Connection:
    """A repository at its servers; close it. `upkeep` tells how many questions it asked."""

    def __init__(self, chain: Chain, network: NetworkParameters, surroundings: Surroundings = Surroundings()) -> None:
        """ConfigError where the proxies are to come from a PAC file, and none can be had."""
        names = Names(network.names)
        self.client = _client(chain, network, surroundings, names)
        try:
            servers = tuple(server.rstrip("/") for server in chain.servers)
            proxies = replace_auto(chain.proxies, servers, network.pac_urls, self.client, surroundings.kept_proxies)
            fallback = _groups(network.servers.fallback)
            metalinks = _metalinks(network.servers, servers, network, self.client)
            if metalinks is not None:
                servers = metalinks.servers(next(iter(proxies or fallback))[0])
            configured = Configured(servers, proxies, fallback, network.servers.most)
            routes = _routes(configured, network, names)
            origin = _origin(network, surroundings, proxies)
            self.distances = Distances(self.client, origin)
            self.upkeep = Upkeep(configured, routes, names, self.distances if network.geo else None, metalinks)
            self.repository = RemoteRepository(
                routes, self.client, patience=_patience(chain.max_retries, network), names=names, upkeep=self.upkeep
            )
        except BaseException:
            self.client.close()
            raise

    def close(self) -> None:
        """End all transfers."""
        self.client.close()


class ExternalConnection:
    """The servers of external files; close it."""

    def __init__(self, network: NetworkParameters, surroundings: Surroundings = Surroundings()) -> None:
        """See Connection."""
        external = network.external
        timeouts = Timeouts(external.timeout_direct, external.timeout, network.low_speed_limit)
        names = Names(network.names)
        chain = Chain(external.servers, _groups(external.proxies), timeouts, network.max_retries)
        self.client = _client(chain, network, surroundings, names)
        try:
            proxies = replace_auto(
                chain.proxies, chain.servers, network.pac_urls, self.client, surroundings.kept_proxies
            )
            fallback = _groups(external.fallback)
            servers = external.servers
            metalinks = _metalinks(external, servers, network, self.client)
            if metalinks is not None:
                servers = metalinks.servers(next(iter(proxies or fallback))[0])
            configured = Configured(servers, proxies, fallback, external.most)
            routes = _routes(configured, network, names)
            self.upkeep = Upkeep(configured, routes, names, None, metalinks)
            self.files = RemoteRepository(
                routes, self.client, patience=_patience(chain.max_retries, network), names=names, upkeep=self.upkeep
            )
        except BaseException:
            self.client.close()
            raise

    def close(self) -> None:
        """End all transfers."""
        self.client.close()


def event_stream(url: str, body: bytes, network: NetworkParameters, limit: int) -> EventStream:
    """Events of at most `limit` bytes, from a server that is believed by the authorities that are configured."""
    return EventStream(url, body, announcer_options(network), limit)


def announcer_options(network: NetworkParameters) -> EasyOptions:
    """How a notification server is asked."""
    system = None if network.ca_bundle or network.ca_directory else find_ca_bundle()
    return EasyOptions(_USER_AGENT, network.ca_bundle or system, 0, network.names.ipv4_only, network.ca_directory)


def _client(chain: Chain, network: NetworkParameters, surroundings: Surroundings, names: Names) -> HttpClient:
    identity = surroundings.environment.get(_UUID_VARIABLE, "").strip()
    return HttpClient(
        timeouts=chain.timeouts,
        connections=network.connections,
        max_redirects=_REDIRECTS if network.follow_redirects else 0,
        user_agent=f"{_USER_AGENT} {identity}" if identity else _USER_AGENT,
        authorities=Authorities(network.ca_bundle, network.ca_directory),
        ipv4_only=network.names.ipv4_only,
        names=names,
        headers=_headers(network, surroundings.environment),
    )


def _routes(configured: Configured, network: NetworkParameters, names: Names) -> Routes:
    return Routes(
        configured.servers[: configured.most],
        names.spread(configured.proxies + configured.fallback),
        server_reset=network.server_reset,
        proxy_reset=network.proxy_reset,
        shard=network.shard,
    )


def _metalinks(
    chain: ServerParameters, servers: tuple[str, ...], network: NetworkParameters, client: HttpClient
) -> Metalinks | None:
    return Metalinks(chain.metalinks, servers, client, network.metalink_reset) if chain.metalinks else None


def _patience(max_retries: int, network: NetworkParameters) -> Patience:
    return Patience(
        max_retries, network.back_off_first, longest_pause=network.back_off_limit, for_ever=network.for_ever
    )


def _groups(text: str) -> ProxyGroups:
    return parse_proxies(text) if text else ()


def _origin(network: NetworkParameters, surroundings: Surroundings, proxies: ProxyGroups) -> Callable[[], str]:
    """How the Geo API is told from where to count: a proxy, which is near; else a name that stands for the asker."""
    if network.proxy_template:
        return lambda: network.proxy_template or ""
    first = next((proxy for group in proxies for proxy in group if proxy is not None), None)
    found = urlsplit(first).hostname if first is not None else None
    name = found or surroundings.environment.get(_UUID_VARIABLE) or str(uuid.uuid4())
    return lambda: name


def _headers(network: NetworkParameters, environment: Mapping[str, str]) -> Callable[[str], tuple[str, ...]] | None:
    """What goes with each request for a URL; None for nothing, which costs nothing."""
    tokens = Tokens(network.token_servers, environment, user_id()) if network.token_servers else None
    if tokens is None and not network.tracing:
        return None

    def headers(url: str) -> tuple[str, ...]:
        traced = (*_asker(), *network.headers) if network.tracing else ()
        return (*traced, *(tokens.headers(url) if tokens is not None else ()))

    return headers


def _asker() -> tuple[str, ...]:
    """Who waits for what this thread fetches; this process where nobody does."""
    pid, uid, gid = activity.current().asker or (os.getpid(), user_id(), os.getgid() if hasattr(os, "getgid") else 0)
    return (f"X-CVMFS-PID: {pid}", f"X-CVMFS-UID: {uid}", f"X-CVMFS-GID: {gid}")
