"""A repository over WebDAV, read-only: for systems that have no FUSE and can mount this, and for browsers.

Symbolic links, which WebDAV does not have, are followed inside the repository; those that lead out of it are not there,
nor is what is neither file nor directory.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from aiohttp import web

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.errors import NotADirectory, NotFound, SwrepoError, SymlinkLoop
from swrepo.format.paths import join
from swrepo.repository.content import Content
from swrepo.repository.links import MOUNTPOINTS, resolve
from swrepo.repository.revision import Revision
from swrepo.web.dav_answers import Shown, asked_for, index, multistatus, shown_as
from swrepo.web.ranges import Slice, Unsatisfiable, parse_range

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_THREADS = 32
_LONGEST_REQUEST = 64 << 10
_METHODS = "OPTIONS, PROPFIND, GET, HEAD"
_HEADERS = {"Server": f"swrepo/{__version__}", "DAV": "1", "MS-Author-Via": "DAV"}
_MULTI_STATUS, _GATEWAY = 207, 502
_SHORTEST = 30.0
"""Seconds between two looks for a new revision that fail."""

_T = TypeVar("_T")


@dataclass(slots=True)
class _Held:
    """A revision, and how many requests read it."""

    revision: Revision
    readers: int = 0
    is_over: bool = False


@dataclass(slots=True)
class _Newest:
    """The revision that is shown; those that nobody reads any more are closed. `lock` guards all of it."""

    held: _Held
    due: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_looking: bool = False


class DavSite:
    """Answers requests for one repository, whose new revisions it follows; `close` it after the last request."""

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="webdav")
        self._newest = _Newest(_Held(access.revision), clock() + access.ttl)
        self._mountpoint = MOUNTPOINTS + access.fqrn.encode()

    def end_subscriptions(self) -> None:
        """There are no responses that would not end by themselves."""

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method == "OPTIONS":
            return web.Response(headers={**_HEADERS, "Allow": _METHODS})
        if request.method not in _METHODS.split(", "):
            return _failed(405, f"{request.method}: this is read-only", {"Allow": _METHODS})
        try:
            async with self._reading() as revision:
                return await self._answer(request, revision)
        except (NotFound, NotADirectory, SymlinkLoop) as error:
            return _failed(404, str(error))
        except SwrepoError as error:
            return _failed(_GATEWAY, str(error))

    async def _answer(self, request: web.BaseRequest, revision: Revision) -> web.StreamResponse:
        path = unquote_to_bytes(request.raw_path.partition("?")[0]).rstrip(b"/")
        shown, real = await self._in_thread(partial(self._look, revision, path))
        if request.method == "PROPFIND":
            return await self._properties(request, revision, shown, real)
        if shown.is_directory:
            below = await self._in_thread(lambda: list(self._below(revision, shown, real)))
            return web.Response(headers=_HEADERS, body=index(shown, below), content_type="text/html", charset="utf-8")
        content = await self._in_thread(lambda: revision.content(real))
        try:
            return await self._send(request, shown, content)
        finally:
            content.close()

    async def _properties(
        self, request: web.BaseRequest, revision: Revision, shown: Shown, real: bytes
    ) -> web.StreamResponse:
        depth = request.headers.get("Depth", "infinity")
        if depth not in ("0", "1") and shown.is_directory:
            return _failed(403, "Depth: 0 or 1", body='<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>')
        try:
            wanted = asked_for(await _body(request))
        except ValueError as error:
            return _failed(400, str(error))

        def document() -> bytes:
            entries = [shown]
            if depth == "1" and shown.is_directory:
                entries += self._below(revision, shown, real)
            return multistatus(entries, wanted)

        body = await self._in_thread(document)
        return web.Response(status=_MULTI_STATUS, headers=_HEADERS, body=body, content_type="application/xml")

    def _look(self, revision: Revision, path: bytes) -> tuple[Shown, bytes]:
        """What is at `path`, and where it really lies."""
        real, entry = resolve(revision, path, self._access.variables, self._mountpoint)
        if not (entry.is_directory or entry.is_regular):
            raise NotFound(f"neither a file nor a directory: {path.decode('utf-8', 'replace')}")
        return shown_as(path, entry), real

    def _below(self, revision: Revision, shown: Shown, real: bytes) -> Iterator[Shown]:
        for entry in revision.listing(real):
            path = join(shown.path, entry.name)
            if entry.is_symlink:
                try:
                    yield self._look(revision, path)[0]
                except SwrepoError:  # it leads nowhere, or cannot be followed at the moment
                    continue
            elif entry.is_directory or entry.is_regular:
                yield shown_as(path, entry)

    async def _send(self, request: web.BaseRequest, shown: Shown, content: Content) -> web.StreamResponse:
        tag = f'"{shown.tag}"'
        headers = {
            **_HEADERS,
            "Accept-Ranges": "bytes",
            "Content-Type": shown.media_type,
            "ETag": tag,
            "Last-Modified": formatdate(shown.mtime, usegmt=True),
        }
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        asked = request.headers.get("Range") if request.headers.get("If-Range", tag) == tag else None
        try:
            part = parse_range(asked, shown.size)
        except Unsatisfiable:
            return _failed(416, "behind the end of the file", {"Content-Range": f"bytes */{shown.size}"})
        status = 200 if part is None else 206
        part = part or Slice(0, shown.size)
        if status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{shown.size}"
        if request.method == "HEAD":
            return web.Response(status=status, headers={**headers, "Content-Length": str(part.length)})
        return await self._stream(request, content, part, web.StreamResponse(status=status, headers=headers))

    async def _stream(
        self, request: web.BaseRequest, content: Content, part: Slice, response: web.StreamResponse
    ) -> web.StreamResponse:
        position, end = part.start, part.start + part.length
        # Before the head is sent, so that what cannot be had is an error, and not an answer that is cut short.
        block = await self._in_thread(partial(content.pread, position, min(_BLOCK, end - position)))
        response.content_length = part.length
        await response.prepare(request)
        while block:
            await response.write(block)
            position += len(block)
            block = await self._in_thread(partial(content.pread, position, min(_BLOCK, end - position)))
        await response.write_eof()
        return response

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Revision]:
        newest = self._newest
        with newest.lock:
            is_due = self._clock() >= newest.due and not newest.is_looking
            newest.is_looking = newest.is_looking or is_due
        if is_due:
            await self._in_thread(self._follow)
        with newest.lock:
            held = newest.held
            held.readers += 1
        try:
            yield held.revision
        finally:
            with newest.lock:
                held.readers -= 1
                is_last = held.is_over and not held.readers
            if is_last:
                held.revision.close()

    def _follow(self) -> None:
        """Show the newest revision; where none can be had, the one before is shown on."""
        newest = self._newest
        revision, pause = None, _SHORTEST
        try:
            revision = self._access.newer()
            pause = float(self._access.ttl)
        except SwrepoError as error:
            log.warning("%s: the revision before is shown on: %s", self._access.fqrn, error)
        finally:
            with newest.lock:
                newest.is_looking = False
                newest.due = self._clock() + pause
        with newest.lock:
            if revision is None:
                return
            before, newest.held = newest.held, _Held(revision)
            before.is_over = True
            is_read = bool(before.readers)
        self._access.replace(revision)
        if not is_read:
            before.revision.close()


async def _body(request: web.BaseRequest) -> bytes:
    body = b""
    while block := await request.content.read(_LONGEST_REQUEST):
        body += block
        if len(body) > _LONGEST_REQUEST:
            raise ValueError("too long")
    return body


def _failed(status: int, text: str, headers: dict[str, str] | None = None, body: str | None = None) -> web.Response:
    kind = "text/plain" if body is None else "application/xml"
    return web.Response(
        status=status, headers={**_HEADERS, **(headers or {})}, text=body or f"{text}\n", content_type=kind
    )
