"""The way to a server, step by step: its name, a connection, an answer, and the time that it tells."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import BinaryIO
from urllib.parse import urlsplit

from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.errors import NotFound, ObjectNotFound, Unreachable
from swrepo.net.faults import TransferFailed
from swrepo.net.http import NO_CACHE, HttpClient, Timeouts
from swrepo.objects import codec
from swrepo.objects.store import DOCUMENT_LIMIT, Want

STEP = 4.0
"""Seconds for a connection, and for each answer to begin."""

_OK = 200
_PORTS = {"http": 80, "https": 443}
_SKEW, _LARGE_SKEW = 60.0, 3600.0
"""Seconds by which clocks may differ unnoticed, and by which certificates and whitelists seem to have expired."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type, the server's clock (None where it tells none) and the body; seconds that it took."""

    status: int
    kind: str
    date: datetime | None
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Way:
    """To the documents below `url`, through `proxy` (None: straight). Documents and ObjectSource, without fail-over."""

    url: str
    proxy: str | None = None

    @property
    def first_stop(self) -> str:
        """The URL of what is connected to."""
        return self.proxy or self.url

    def get(self, name: str, limit: int = DOCUMENT_LIMIT) -> Answer:
        """The document, past all caches. TransferFailed."""
        begun = time.monotonic()
        with closing(HttpClient(timeouts=Timeouts(direct=STEP, proxied=STEP))) as client:
            with client.stream(f"{self.url}/{name}", self.proxy, headers=NO_CACHE) as response:
                body = BytesIO()
                for block in response.blocks:
                    body.write(block)
                    if body.tell() > limit:
                        break
            seconds = time.monotonic() - begun
            kind = response.headers.get("content-type", "")
            return Answer(response.status, kind, _date(response.headers.get("date")), body.getvalue(), seconds)

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        answer = self.get(name, limit)
        if answer.status != _OK:
            raise ObjectNotFound(f"{self.url}/{name} answers {answer.status}")
        return answer.body

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        with (
            closing(HttpClient(timeouts=Timeouts(direct=STEP, proxied=STEP))) as client,
            client.stream(f"{self.url}/{want.id.path}", self.proxy) as response,
        ):
            if response.status != _OK:
                raise ObjectNotFound(f"{self.url}/{want.id.path} answers {response.status}")
            codec.decode(response.blocks, want, out)


def reach(way: Way) -> Iterator[Finding]:
    """Name and connection of the first stop; ends with the first thing that is wrong."""
    address = urlsplit(way.first_stop)
    host, port = address.hostname or "", address.port or _PORTS.get(address.scheme, 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as failure:
        mend = "look at its spelling, /etc/resolv.conf and /etc/hosts"
        yield error("dns", f"{host} has no address: {failure.strerror}", f"getent hosts {host}; {mend}")
        return
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if addresses != [host]:
        yield ok("dns", f"{host} is {', '.join(addresses)}")
    yield from _connect(host, port, addresses, is_proxy=way.proxy is not None)


def is_reached(findings: list[Finding]) -> bool:
    """Whether a connection came about."""
    return any(found.area == "tcp" and not found.mend for found in findings)


def _connect(host: str, port: int, addresses: list[str], *, is_proxy: bool) -> Iterator[Finding]:
    failures = []
    for address in addresses:
        begun = time.monotonic()
        try:
            socket.create_connection((address, port), STEP).close()
        except OSError as failure:
            failures.append(f"{address}: {failure.strerror or failure}")
            continue
        if failures:
            text = f"{host} port {port}: only {address} can be connected to ({'; '.join(failures)})"
            yield warning("tcp", text, "CVMFS_IPV4_ONLY=yes where IPv6 does not work here")
        yield ok("tcp", f"{host} port {port} can be connected to ({1000 * (time.monotonic() - begun):.0f} ms)")
        return
    what = "proxy" if is_proxy else "server"
    mend = f"is the {what} running, and does a firewall let port {port} through?  nc -vz {host} {port}"
    yield error("tcp", f"{host} port {port} cannot be connected to: {'; '.join(failures)}", mend)


def ask(way: Way, name: str) -> tuple[Answer | None, list[Finding]]:
    """A document, and what its answer tells of the way: errors of the server, login pages, clocks."""
    area = "proxy" if way.proxy is not None else "http"
    through = f" through {way.proxy}" if way.proxy is not None else ""
    try:
        answer = way.get(name)
    except (Unreachable, TransferFailed, NotFound) as failure:
        mend = "a proxy or firewall in between breaks it off" if way.proxy else "is it a web server at all?"
        return None, [error(area, f"{way.url}{through}: {failure}", f"curl -v {way.url}/{name}  ({mend})")]
    clock = _clock(way, answer)
    if answer.status != _OK:
        return None, [_refused(way, name, answer, area, through), *clock]
    if "html" in answer.kind or answer.body[:1] == b"<":
        text = f"{way.url}{through} answers with a web page in place of {name}"
        mend = f"log in to this network (a captive portal?), or correct the address:  curl {way.url}/{name}"
        return None, [error(area, text, mend), *clock]
    return answer, [ok(area, f"{way.url}{through} answers ({1000 * answer.seconds:.0f} ms)"), *clock]


def _refused(way: Way, name: str, answer: Answer, area: str, through: str) -> Finding:
    text = f"{way.url}/{name}{through} answers {answer.status}"
    if answer.status == 407:
        return error(area, text, f"the proxy wants a password: http://USER:PASSWORD@{urlsplit(way.first_stop).netloc}")
    if answer.status in (401, 403):
        mend = "the proxy's access list must allow this server" if way.proxy else "the server wants authorization"
        return error(area, text, mend)
    if answer.status == 404:
        return error(area, text, "the server has no such repository: look at its name and CVMFS_SERVER_URL")
    if answer.status >= 500:
        return error(area, text, "the server (or proxy) has a fault of its own: use another, tell its operator")
    return error(area, text, f"curl -v {way.url}/{name}")


def _clock(way: Way, answer: Answer) -> list[Finding]:
    if answer.date is None:
        return []
    skew = (datetime.now(UTC) - answer.date).total_seconds()
    if abs(skew) < _SKEW:
        return [ok("clock", "this machine's clock agrees with the server's")]
    text = f"this machine's clock is {_duration(skew)} {'ahead of' if skew > 0 else 'behind'} that of {way.url}"
    found = error if abs(skew) >= _LARGE_SKEW else warning
    return [
        found("clock", text, "timedatectl set-ntp true, or chronyc makestep (if it is not the server's that is wrong)")
    ]


def _duration(seconds: float) -> str:
    seconds = abs(seconds)
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)
