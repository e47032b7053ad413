"""Answers to HTTP requests for repositories: status, headers, bytes. The only module that speaks aiohttp's language."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from aiohttp import web

from swrepo import __version__
from swrepo.format import servermeta
from swrepo.format.wellknown import URL_PREFIX
from swrepo.web import announcing, geo
from swrepo.web.files import OpenFile, ServedDirectories
from swrepo.web.geo import GeoAnswers
from swrepo.web.ranges import Slice, Unsatisfiable, parse_range
from swrepo.web.resources import Resource, resolve

AccessLog = Callable[[str], None]

_AT_ONCE = 256 << 10
"""Bytes that are read and sent in one piece, within the event loop: a system call on what is mostly in memory."""

_BLOCK = 1 << 20
_SERVER = f"swrepo/{__version__}"
_METHODS = ("GET", "HEAD")


class Site:
    """Handler for aiohttp's low-level server; used by one event loop."""

    def __init__(
        self, directories: ServedDirectories, access_log: AccessLog | None = None, geo: GeoAnswers | None = None
    ) -> None:
        self._directories = directories
        self._geo = geo
        self._announcing = announcing.Announcing(directories)
        self._log = access_log

    def end_subscriptions(self) -> None:
        """Have responses end that would not end by themselves."""
        self._announcing.end()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        response = await self._answer(request)
        if self._log is not None:
            size = response.content_length or 0
            self._log(f'{request.remote} "{request.method} {request.raw_path}" {response.status} {size}')
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in _METHODS:
            return _error(405, {"Allow": ", ".join(_METHODS)})
        if request.raw_path == announcing.PATH:
            return await self._announcing.answer(request, {"Server": _SERVER}) or _error(404)
        resource = resolve(request.raw_path)
        if resource is None:
            return await self._distances(request)
        file = self._directories.open(resource.parts)
        if file is not None:
            try:
                return await _send(request, resource, file)
            finally:
                os.close(file.descriptor)
        if resource.is_repository_list:
            return web.Response(body=self._repository_list(), headers=_headers(resource))
        return _error(404)

    async def _distances(self, request: web.BaseRequest) -> web.Response:
        """An order of servers, where that is what is asked for. Proxies keep it for an hour, a refusal five minutes."""
        question = geo.asked(request.raw_path)
        if question is None or self._geo is None or not self._geo.atlas.is_there:
            return _error(404)
        try:
            text, status, seconds = await self._geo.order(question, request.remote, request.headers), 200, 3600
        except geo.Refused as reason:
            text, status, seconds = f"Bad Request: {reason}\n", 400, 300
        headers = {"Cache-Control": f"max-age={seconds}", "Server": _SERVER}
        return web.Response(text=text, status=status, headers=headers)

    def _repository_list(self) -> bytes:
        offers = (servermeta.Offer(name, URL_PREFIX + name) for name in self._directories.repositories())
        return servermeta.encode(offers, f"swrepo {__version__}")


def _headers(resource: Resource) -> dict[str, str]:
    return {
        "Content-Type": resource.content_type,
        "Cache-Control": resource.cache_control,
        "Accept-Ranges": "bytes",
        "Server": _SERVER,
    }


async def _send(request: web.BaseRequest, resource: Resource, file: OpenFile) -> web.StreamResponse:
    headers = _headers(resource)
    # Nothing here has a validator (format.md 1), so an If-Range can never match: then the whole is the right answer.
    asked = None if "If-Range" in request.headers else request.headers.get("Range")
    try:
        part = parse_range(asked, file.size)
    except Unsatisfiable:
        return _error(416, {"Content-Range": f"bytes */{file.size}"})
    status = 200
    if part is not None:
        status = 206
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{file.size}"
    else:
        part = Slice(0, file.size)
    if request.method == "HEAD":
        return web.Response(status=status, headers={**headers, "Content-Length": str(part.length)})
    if part.length <= _AT_ONCE:
        return web.Response(status=status, headers=headers, body=os.pread(file.descriptor, part.length, part.start))
    return await _stream(request, file, part, web.StreamResponse(status=status, headers=headers))


async def _stream(
    request: web.BaseRequest, file: OpenFile, part: Slice, response: web.StreamResponse
) -> web.StreamResponse:
    response.content_length = part.length
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    position, end = part.start, part.start + part.length
    while position < end:
        block = await loop.run_in_executor(None, os.pread, file.descriptor, min(_BLOCK, end - position), position)
        if not block:
            break  # cut short while we read; too few bytes then tell the client
        await response.write(block)
        position += len(block)
    await response.write_eof()
    return response


def _error(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """No cache may keep it: an object that is missing now may be published in a second."""
    return web.Response(status=status, headers={**(headers or {}), "Cache-Control": "no-store", "Server": _SERVER})
