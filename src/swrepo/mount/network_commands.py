"""What a mount answers about servers and proxies, and how others are chosen while it runs.

Names and formats are those of the original (original.md 5). What is set holds until the mount ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from swrepo.client.access import Access
from swrepo.client.attributes import proxy_name
from swrepo.errors import SwrepoError, Unreachable, UsageError
from swrepo.format.wellknown import MANIFEST
from swrepo.mount.control import Command
from swrepo.net.connect import Connection, ExternalConnection
from swrepo.net.http import NO_CACHE, HttpClient
from swrepo.net.routes import ProxyGroups, Routes, parse_proxies
from swrepo.net.upkeep import Upkeep

Accesses = Callable[[], Mapping[str, Access]]
AnyConnection = Connection | ExternalConnection
DONE = "OK"
_OK_STATUS = 200
_LONGEST_TIMEOUT = 86400


class NetworkCommands:
    """One for a mount: it remembers how far servers were when they were last measured, in seconds."""

    def __init__(self) -> None:
        self._round_trips: dict[str, float | None] = {}

    def commands(self, accesses: Accesses) -> dict[str, Command]:
        """The commands, by name."""

        def on_each(question: Callable[[Connection, str], str]) -> Command:
            return lambda rest: _joined(accesses(), lambda access: question(_connection(access), rest))

        def on_external(question: Callable[[ExternalConnection, str], str]) -> Command:
            return lambda rest: _joined(accesses(), lambda access: question(_external(access), rest))

        return {
            "host info": on_each(lambda connection, _rest: self._servers(_routes(connection))),
            "host probe": on_each(lambda connection, _rest: self._measure(connection)),
            "host probe geo": on_each(lambda connection, _rest: _ask_for_order(connection)),
            "host switch": on_each(lambda connection, _rest: _next_server(_routes(connection))),
            "host set": on_each(lambda connection, rest: _set_servers(connection.upkeep, rest)),
            "proxy info": on_each(lambda connection, _rest: _proxies(_routes(connection))),
            "proxy rebalance": on_each(lambda connection, _rest: _done(_routes(connection).rebalance)),
            "proxy group switch": on_each(lambda connection, _rest: _done(_routes(connection).next_group)),
            "proxy set": on_each(lambda connection, rest: _use(connection.upkeep, proxies=_groups(rest))),
            "proxy fallback": on_each(lambda connection, rest: _use(connection.upkeep, fallback=_groups(rest))),
            "timeout info": on_each(lambda connection, _rest: _timeouts(connection.client)),
            "timeout set": on_each(lambda connection, rest: _set_timeouts(connection.client, rest)),
            "external host info": on_external(lambda external, _rest: self._servers(_routes(external))),
            "external host switch": on_external(lambda external, _rest: _next_server(_routes(external))),
            "external host set": on_external(lambda external, rest: _set_servers(external.upkeep, rest)),
            "external proxy info": on_external(lambda external, _rest: _proxies(_routes(external))),
            "external proxy set": on_external(lambda external, rest: _use(external.upkeep, proxies=_groups(rest))),
        }

    def _servers(self, routes: Routes) -> str:
        used = routes.current().server
        lines = [f"  [{index}] {server} ({self._distance(server)})" for index, server in enumerate(routes.servers)]
        index = routes.servers.index(used) if used in routes.servers else 0
        return "\n".join([*lines, f"Active host {index}: {used}"])

    def _distance(self, server: str) -> str:
        if server not in self._round_trips:
            return "unprobed"
        found = self._round_trips[server]
        return "host down" if found is None else f"{round(1000 * found)} ms"

    def _measure(self, connection: Connection) -> str:
        """Put the servers in the order of how far they are, those that do not answer last."""
        routes = _routes(connection)
        for server in routes.servers:
            self._round_trips[server] = _round_trip(connection.client, server, routes.current().proxy)

        def distance(server: str) -> float:
            found = self._round_trips[server]
            return float("inf") if found is None else found

        connection.upkeep.use(servers=sorted(routes.servers, key=distance))
        return DONE


def _round_trip(client: HttpClient, server: str, proxy: str | None) -> float | None:
    """Seconds for a small document over a connection that is open; None where the server does not answer."""
    found: float | None = None
    for _ in range(2):
        begin = time.monotonic()
        try:
            with client.stream(f"{server}/{MANIFEST}", proxy, headers=NO_CACHE) as response:
                if response.status != _OK_STATUS:
                    return None
                for _block in response.blocks:
                    pass
        except SwrepoError:
            return None
        found = time.monotonic() - begin
    return found


def _ask_for_order(connection: Connection) -> str:
    """Put servers and fallback proxies in the order that a server's Geo API gives, or that is measured without one."""
    configured, routes = connection.upkeep.configured, _routes(connection)
    single = [proxy for group in configured.fallback for proxy in group if proxy is not None]
    found = connection.distances.order(configured.servers, single, routes.current().proxy)
    if found is None:
        raise Unreachable("no server answered", configured.servers)
    connection.upkeep.use(servers=found.servers)
    if configured.fallback:
        connection.upkeep.use(fallback=tuple((proxy,) for proxy in found.fallback))
    return DONE


def _next_server(routes: Routes) -> str:
    routes.next_server(routes.current().server)
    return DONE


def _set_servers(upkeep: Upkeep, text: str) -> str:
    servers = [server for server in text.replace(",", ";").split(";") if server.strip()]
    if not servers:
        raise UsageError("name the servers: URLs of the repository, with ';' between")
    upkeep.use(servers=[server.strip() for server in servers])
    return DONE


def _proxies(routes: Routes) -> str:
    lines = [f"[{index}] {', '.join(map(proxy_name, group))}" for index, group in enumerate(routes.proxies)]
    used = proxy_name(routes.current().proxy)
    return "\n".join(["Load-balance groups:", *lines, f"Active proxy: [{routes.group}] {used}"])


def _groups(text: str) -> ProxyGroups:
    if not text:
        raise UsageError(
            "name the proxies: http://HOST:PORT or DIRECT, '|' between those of a group, ';' between groups"
        )
    return parse_proxies(text)


def _timeouts(client: HttpClient) -> str:
    found = client.timeouts
    return f"Timeout with proxy: {found.proxied:g}s\nTimeout without proxy: {found.direct:g}s"


def _set_timeouts(client: HttpClient, text: str) -> str:
    words = text.split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise UsageError("give two whole numbers of seconds: with a proxy, and without")
    proxied, direct = map(int, words)
    if not (0 < proxied <= _LONGEST_TIMEOUT and 0 < direct <= _LONGEST_TIMEOUT):
        raise UsageError(f"a timeout has from 1 to {_LONGEST_TIMEOUT} seconds")
    client.timeouts = replace(client.timeouts, proxied=float(proxied), direct=float(direct))
    return DONE


def _joined(accesses: Mapping[str, Access], answer: Callable[[Access], str]) -> str:
    if len(accesses) == 1:
        return answer(next(iter(accesses.values())))
    return "\n".join(f"{access.fqrn}: {answer(access)}" for access in accesses.values())


def _connection(access: Access) -> Connection:
    if access.connection is None:
        raise UsageError(f"{access.fqrn} is read from a directory, so there are no servers and proxies")
    return access.connection


def _external(access: Access) -> ExternalConnection:
    if access.external is None:
        raise UsageError(f"{access.fqrn} has no servers of external content; CVMFS_EXTERNAL_URL names them")
    return access.external


def _routes(connection: AnyConnection) -> Routes:
    return connection.repository.routes if isinstance(connection, Connection) else connection.files.routes


def _use(upkeep: Upkeep, *, proxies: ProxyGroups | None = None, fallback: ProxyGroups | None = None) -> str:
    upkeep.use(proxies=proxies, fallback=fallback)
    return DONE


def _done(change: Callable[[], None]) -> str:
    change()
    return DONE
