"""The Geo API: which of some servers are near to who asks, by a database of where addresses are. Source: format.md 12.

`/cvmfs/NAME/api/v1.0/geo/ORIGIN/SERVER,SERVER,...` is answered by their numbers from 1, the nearest first. ORIGIN is
the name of a proxy that many ask through; where it has an address, that one counts, so that nobody can spoil the answer
that its cache keeps, else the address from which the request came.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from swrepo.format.wellknown import URL_PREFIX, is_fqrn

_PATH = re.compile(r"(?P<fqrn>[^/]+)/api/v1\.[0-9]+/geo/(?P<origin>[^/]+)/(?P<servers>[^/]+)")
_NAME = re.compile(r"[0-9A-Za-z.:-]{1,256}")
_SEPARATOR = "+PXYSEP+"
"""After it come proxies to fall back on, which are put in order too."""

_MOST_SERVERS = 64
_KEPT_SECONDS = 300.0
_MOST_KEPT = 10_000
_BEHIND_CDN = "CF-Connecting-IP"
"""A content delivery network tells by it who asked; its own servers then stand in front of those that are named."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a name, none where it has none."""


class Place(NamedTuple):
    """Degrees north and east."""

    latitude: float
    longitude: float


def distance(one: Place, other: Place) -> float:
    """The angle between two places, seen from the middle of the earth; it does not lose its precision for near ones."""
    north, north_of_other = math.radians(one.latitude), math.radians(other.latitude)
    half_height = math.sin((north_of_other - north) / 2)
    half_width = math.sin(math.radians(other.longitude - one.longitude) / 2)
    share = half_height**2 + math.cos(north) * math.cos(north_of_other) * half_width**2
    return 2 * math.asin(math.sqrt(min(1.0, share)))


class Atlas(Protocol):
    """Where addresses are."""

    @property
    def is_there(self) -> bool: ...

    def find(self, address: str) -> Place | None: ...


class Refused(Exception):
    """There is no order; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks."""

    origin: str
    servers: tuple[str, ...]


def asked(target: str) -> Question | None:
    """The question that a request's target is; None where it is another one."""
    path = target.partition("?")[0]
    found = _PATH.fullmatch(path.removeprefix(URL_PREFIX)) if path.startswith(URL_PREFIX) else None
    if found is None or not is_fqrn(found["fqrn"]):
        return None
    return Question(unquote(found["origin"]), tuple(unquote(found["servers"]).split(",")))


async def resolved(name: str) -> Sequence[str]:
    """Addresses by the system's resolver, those of IPv4 first: databases know them better."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return ()
    return [str(item[4][0]) for item in sorted(found, key=lambda item: item[0] != socket.AF_INET)]


@dataclass(slots=True)
class GeoAnswers:
    """Answers for one event loop. Places of names are kept for five minutes."""

    atlas: Atlas
    resolve: Resolve = resolved
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, tuple[float, Place | None]] = field(default_factory=dict)

    async def order(self, question: Question, remote: str | None, headers: Mapping[str, str]) -> str:
        """The numbers of the servers, nearest first, with commas. Refused where nobody can tell."""
        if len(question.servers) > _MOST_SERVERS:
            raise Refused(f"more than {_MOST_SERVERS} servers")
        here = await self._origin(question.origin, remote, headers)
        if here is None:
            raise Refused("remote addr not found in database")
        names, through_cdn = list(question.servers), _BEHIND_CDN in headers
        if _SEPARATOR not in names:
            return _numbers(await self._sorted(here, names, through_cdn=through_cdn))
        cut = names.index(_SEPARATOR)
        proxies = await self._ordered(here, names[cut + 1 :], through_cdn=False)
        if proxies and (near := await self._named(names[cut + 1 + proxies[0]])) is not None:
            here = near  # servers are asked through that proxy
        servers = await self._sorted(here, names[:cut], through_cdn=through_cdn)
        return _numbers([*servers, *(cut + 1 + index for index in proxies), cut])

    async def _sorted(self, here: Place, names: Sequence[str], *, through_cdn: bool) -> list[int]:
        found = await self._ordered(here, names, through_cdn=through_cdn)
        if not any([await self._named(name) for name in names]):
            raise Refused("no server addr found in database")
        return found

    async def _ordered(self, here: Place, names: Sequence[str], *, through_cdn: bool) -> list[int]:
        """Indexes, nearest first; those that nobody knows last, in the order in which they came."""
        places = await asyncio.gather(*(self._server(name, through_cdn=through_cdn) for name in names))
        far = [float("inf") if place is None else distance(here, place) for place in places]
        return sorted(range(len(names)), key=lambda index: far[index])

    async def _server(self, name: str, *, through_cdn: bool) -> Place | None:
        own = await self._named(f"ip.{name}") if through_cdn else None
        return own or await self._named(name)

    async def _origin(self, origin: str, remote: str | None, headers: Mapping[str, str]) -> Place | None:
        if "." in origin and (named := await self._named(origin)) is not None:
            return named
        forwarded = headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        for address in (headers.get(_BEHIND_CDN, ""), forwarded, remote or ""):
            if _NAME.fullmatch(address) and (place := self.atlas.find(address)) is not None:
                return place
        return None

    async def _named(self, name: str) -> Place | None:
        if not _NAME.fullmatch(name):
            return None
        kept, now = self._kept.get(name), self.clock()
        if kept is not None and now < kept[0] + _KEPT_SECONDS:
            return kept[1]
        place = self._first(await self.resolve(name)) or (kept and kept[1])
        if kept is None and len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = now, place
        return place

    def _first(self, addresses: Iterable[str]) -> Place | None:
        return next((place for address in addresses if (place := self.atlas.find(address)) is not None), None)


def _numbers(indexes: Iterable[int]) -> str:
    return ",".join(str(index + 1) for index in indexes) + "\n"
