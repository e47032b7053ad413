"""A repository at servers on the network: ObjectSource and Documents over HTTP, with retries and fail-over.

What arrives is checked by objects.codec while it arrives. A failed try is followed by another over the next route
(net.walk decides); when none is left, the error says what each of them answered.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from swrepo.errors import CorruptObject, ObjectNotFound, ObjectTooLarge, Unreachable
from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.http import NO_CACHE, HttpClient, Response
from swrepo.net.names import Names
from swrepo.net.quick import Quick
from swrepo.net.routes import Route, Routes
from swrepo.net.traffic import Traffic, TrafficCount
from swrepo.net.upkeep import Upkeep
from swrepo.net.walk import Step, Walk
from swrepo.objects import codec
from swrepo.objects.store import DOCUMENT_LIMIT, Coming, Want
from swrepo.system import activity

log = logging.getLogger(__name__)

UNESCAPED = "/:.@+-_~[],"
_OK, _PARTIAL, _BAD_REQUEST, _NOT_FOUND, _GONE, _TOO_MANY = 200, 206, 400, 404, 410, 429


@dataclass(frozen=True, slots=True)
class Patience:
    """Retries over one route, and the seconds of the first pause's upper end (doubled each time, to `longest_pause`).

    `limit`: seconds without a byte after which no other route is tried; one try is bounded by its `Timeouts`.
    `for_ever`: when nothing is left to try, begin again after the longest pause.
    """

    max_retries: int = 1
    back_off: float = 2.0
    limit: float = 60.0
    longest_pause: float = 10.0
    for_ever: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file: `size` bytes from `offset`."""

    offset: int
    size: int

    @property
    def headers(self) -> tuple[str, ...]:
        return (f"Range: bytes={self.offset}-{self.offset + self.size - 1}",)

    def cut_from(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The part out of the whole file."""
        position = 0
        for block in blocks:
            start, position = position, position + len(block)
            piece = block[max(0, self.offset - start) : max(0, self.offset + self.size - start)]
            if piece:
                yield piece
            if position >= self.offset + self.size:
                return


class RemoteRepository:
    """ObjectSource and Documents over HTTP. Safe from any thread."""

    def __init__(
        self,
        routes: Routes,
        client: HttpClient,
        *,
        patience: Patience = Patience(),
        pause: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
        names: Names | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        """`names`: for the other addresses of a server that fails. `upkeep`: who changes the routes as time goes by."""
        self.routes = routes
        self._names, self._upkeep = names, upkeep
        self._client = client
        self._patience = patience
        self._pause, self._uniform, self._clock = pause, uniform, clock
        self._traffic = TrafficCount()
        self._quick = Quick(routes, client, self._traffic, clock)

    def make_ready(self, count: int) -> None:
        """Open so many connections for small objects, over the route of the moment; returns at once."""
        route = self.routes.current()
        if route.address is None:
            self._client.make_ready(route.server, route.proxy, count)

    def begin(self, want: Want) -> Coming | None:
        """See BeginsFetching."""
        if self._upkeep is not None:
            self._upkeep.look()
        return self._quick.begin(want)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        return self._quick.fetch_many(wants, deliver)

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        self._get(want.id.path, f"object {want.id}", _into(want, out))

    def fetch_whole(self, want: Want) -> bytes:
        """See FetchesWhole."""
        plain = b""

        def receive(blocks: Iterator[bytes], *, again: bool) -> None:  # noqa: ARG001 - one signature for all
            nonlocal plain
            plain = codec.decode_blocks(blocks, want)

        self._get(want.id.path, f"object {want.id}", receive)
        return plain

    def fetch_part(self, path: str, want: Want, out: BinaryIO, offset: int | None) -> None:
        """The same for an object that is the file at `path`, or the part of it that begins at `offset`."""
        size = want.size
        part = None if offset is None or size is None else Part(offset, size)
        self._get(path, f"external file /{path}", _into(want, out), part)

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        document = bytearray()

        def receive(blocks: Iterator[bytes], *, again: bool) -> None:  # noqa: ARG001 - one signature for both
            document.clear()
            for block in blocks:
                document.extend(block)
                if len(document) > limit:
                    raise ObjectTooLarge(f"{name} is larger than the {limit} bytes that are accepted of it")

        self._get(quote(name, safe=UNESCAPED), name, receive)
        return bytes(document)

    @property
    def traffic(self) -> Traffic:
        return self._traffic.total

    @property
    def distance(self) -> float:
        """See TrafficCount."""
        return self._traffic.distance

    def _get(self, path: str, what: str, receive: Callable[..., None], part: Part | None = None) -> None:
        """Try the routes until one delivers what `receive` accepts."""
        while True:
            try:
                self._walk(path, what, receive, part)
            except Unreachable as error:
                if not self._patience.for_ever or isinstance(error, TransferFailed):
                    raise
                log.warning("%s; trying again", error)
                self._pause(self._patience.longest_pause)
            else:
                return

    def _walk(self, path: str, what: str, receive: Callable[..., None], part: Part | None) -> None:
        if self._upkeep is not None:
            self._upkeep.look()
        walk = Walk(self.routes, self._patience.max_retries, self._patience.limit, self._clock(), key=path)
        record = activity.current()
        corrupt: CorruptObject | None = None
        while (step := walk.next(self._clock())) is not None:
            self._back_off(step.back_off)
            record.begin(_Try(what, step.route, walk.tries))
            try:
                self._try(step, path, receive, walk, part)
            except TransferFailed as error:
                if error.fault is Fault.CANCELLED:
                    raise
                with self._counting(step.route):
                    walk.timeouts += error.timed_out
                    walk.failed(step, error.fault, str(error), self._addresses(step.route, error))
            except CorruptObject as error:
                corrupt = corrupt or error
                with self._counting(step.route):
                    walk.failed(step, Fault.CORRUPT, f"{step.route}: {error}")
            else:
                walk.succeeded(step)
                return
        raise _verdict(what, walk, corrupt)

    def _addresses(self, route: Route, error: TransferFailed) -> tuple[str, ...]:
        """All of the server's, the one that failed first; empty where it was not reached, for then all were tried."""
        if self._names is None or error.address is None or error.fault is not Fault.BROKEN:
            return ()
        others = self._names.addresses(urlsplit(route.server).hostname or "")
        return tuple(dict.fromkeys((error.address, *others)))

    def _try(self, step: Step, path: str, receive: Callable[..., None], walk: Walk, part: Part | None) -> None:
        url = f"{step.route.server}/{path}"
        proxy = step.route.proxy
        begin = self._clock()
        headers = (*(NO_CACHE if step.no_cache else ()), *(part.headers if part is not None else ()))
        # Only a proxy's own errors are told by their headers.
        transfer = self._client.start(
            url, proxy, headers=headers, keep_head=proxy is not None, fresh=step.fresh, address=step.route.address
        )
        transfer.wait()
        with Response(transfer) as response:
            if response.status != _OK and not (part is not None and response.status == _PARTIAL):
                raise _refusal(step.route, response)
            blocks = self._counted(response.blocks, walk, begin)
            if part is not None and response.status == _OK:  # all of the file: the server does not know of parts
                blocks = part.cut_from(blocks)
            receive(blocks, again=bool(walk.tries))

    def _counted(self, blocks: Iterator[bytes], walk: Walk, begin: float) -> Iterator[bytes]:
        count = 0
        try:
            for block in blocks:
                count += len(block)
                walk.heard = self._clock()
                yield block
        finally:
            self._traffic.came(1, count, self._clock() - begin)

    @contextmanager
    def _counting(self, route: Route) -> Iterator[None]:
        """A failed try over `route`, and whether what is done about it leads to another server or proxy."""
        was_used = self.routes.in_use(route)
        yield
        left = was_used and not self.routes.in_use(route)
        same_server = left and self.routes.current().server == route.server
        self._traffic.failed(other_server=left and not same_server, other_proxy=same_server)

    def _back_off(self, retry: int) -> None:
        if retry:
            pause = self._uniform(0.001, self._patience.back_off) * 2 ** (retry - 1)
            self._pause(min(self._patience.longest_pause, pause))


def _into(want: Want, out: BinaryIO) -> Callable[..., None]:
    """What takes the blocks of one try."""

    def receive(blocks: Iterator[bytes], *, again: bool) -> None:
        if again:
            out.seek(0)
            out.truncate()
        codec.decode(blocks, want, out)

    return receive


@dataclass(frozen=True, slots=True)
class _Try:
    """What is tried, and was tried before, in words: only when somebody asks."""

    what: str
    route: Route
    before: list[str]

    def __str__(self) -> str:
        before = f"; before that: {'; '.join(self.before)}" if self.before else ""
        return f"{self.what} from {self.route}{before}"


def _refusal(route: Route, response: Response) -> TransferFailed:
    """What a status other than 200 means. Source: format.md 11."""
    status, headers = response.status, response.headers
    through = f" through proxy {route.proxy}" if route.proxy else ""
    sentence = f"{response.url}{through}: HTTP status {status}"
    if route.proxy and ("x-squid-error" in headers or "error=" in headers.get("proxy-status", "")):
        detail = headers.get("x-squid-error") or headers["proxy-status"]
        return TransferFailed(f"{sentence} from the proxy itself ({detail})", Fault.PROXY_ANSWER)
    if status in (_NOT_FOUND, _GONE):
        return TransferFailed(sentence, Fault.MISSING)
    if status == _TOO_MANY:
        return TransferFailed(sentence, Fault.BUSY)
    if status == _BAD_REQUEST or status >= 500 or route.proxy is None:
        return TransferFailed(sentence, Fault.SERVER_ANSWER)
    return TransferFailed(sentence, Fault.PROXY_ANSWER)


def _verdict(what: str, walk: Walk, corrupt: CorruptObject | None) -> Exception:
    if corrupt is not None:
        corrupt.add_note("tried: " + "; ".join(walk.tries))
        return corrupt
    if walk.is_missing_everywhere:
        return ObjectNotFound(f"no server has {what}: " + "; ".join(walk.tries))
    return Unreachable(f"cannot get {what}", tuple(walk.tries), timed_out=0 < walk.timeouts == len(walk.tries))
