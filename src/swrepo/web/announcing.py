"""`/api/v1/notifications/subscribe`: tells clients of each new revision of a repository that is served here.

What the gateway of CernVM-FS answers there (format.announcement), without anybody having to publish a notification:
the manifest on the disk is looked at. It is the last thing that a publication or a replication writes, so whoever is
told of it finds all that it names.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from datetime import UTC, datetime

from aiohttp import web

from swrepo.errors import FormatError
from swrepo.format import envelope, manifest
from swrepo.format.announcement import SUBSCRIBE, Announcement
from swrepo.format.wellknown import MANIFEST, is_fqrn
from swrepo.web.files import ServedDirectories

PATH = "/api/v1" + SUBSCRIBE

_LOOKS = 0.5
"""Seconds between two looks at a manifest, however many wait for it."""

_BEATS = 60.0
"""Seconds of silence after which a comment is sent: it finds out who has gone, and nothing in between gives up."""

_LONGEST_REQUEST = 4096
_LONGEST_MANIFEST = 64 << 10


class Announcing:
    """The subscriptions of one event loop."""

    def __init__(self, directories: ServedDirectories) -> None:
        self._directories = directories
        self._watched: dict[str, _Watched] = {}
        self._has_ended = False

    def end(self) -> None:
        """End all subscriptions, and begin none any more."""
        self._has_ended = True
        for watched in self._watched.values():
            watched.tell(None)

    async def answer(self, request: web.BaseRequest, headers: dict[str, str]) -> web.StreamResponse | None:
        """Tell of a repository until the client has gone; None where the request names none that is served."""
        fqrn = await _asked_for(request)
        if fqrn is None or self._has_ended or self._read(fqrn) is None:
            return None
        response = web.StreamResponse(
            headers={**headers, "Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        watched = self._watched.get(fqrn)
        if watched is None:
            watched = self._watched[fqrn] = _Watched()
            watched.task = asyncio.get_running_loop().create_task(self._watch(fqrn, watched))
        watched.listeners += 1
        try:
            with suppress(ConnectionError):  # it has gone
                await self._tell(response, fqrn, watched)
        finally:
            watched.listeners -= 1
            if not watched.listeners:
                del self._watched[fqrn]
                assert watched.task is not None  # noqa: S101 - it was made with it
                watched.task.cancel()
        return response

    async def _tell(self, response: web.StreamResponse, fqrn: str, watched: _Watched) -> None:
        known: bytes | None = None
        while True:
            await watched.change(known)
            if self._has_ended:
                return
            found = watched.manifest
            if found is None or found == known:
                await response.write(b":\n\n")
                continue
            known = found
            now = datetime.now(UTC).strftime("%d %b %Y %H:%M:%S")
            await response.write(b"data: " + Announcement(fqrn, found, now).encode() + b"\n\n")

    async def _watch(self, fqrn: str, watched: _Watched) -> None:
        while True:
            found = self._read(fqrn)
            if found is not None and found != watched.manifest:
                watched.tell(found)
            await asyncio.sleep(_LOOKS)

    def _read(self, fqrn: str) -> bytes | None:
        file = self._directories.open((fqrn, MANIFEST))
        if file is None:
            return None
        try:
            raw = os.pread(file.descriptor, _LONGEST_MANIFEST, 0)
            manifest.parse(envelope.split(raw).body)
        except (OSError, FormatError):  # somebody copies it, without renaming it into its place
            return None
        finally:
            os.close(file.descriptor)
        return raw


class _Watched:
    """The manifest that was seen last of one repository, and who wants to hear of the next."""

    def __init__(self) -> None:
        self.listeners = 0
        self.manifest: bytes | None = None
        self.task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def tell(self, raw: bytes | None) -> None:
        """The manifest is this one now; None: there is no more to come."""
        self.manifest = raw
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, known: bytes | None) -> None:
        """Until it is another manifest than `known`, or nothing was to be said for long."""
        if self.manifest == known:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _BEATS)


async def _asked_for(request: web.BaseRequest) -> str | None:
    try:
        document = json.loads(await request.content.read(_LONGEST_REQUEST))
        fqrn = document["repository"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return fqrn if isinstance(fqrn, str) and is_fqrn(fqrn) else None
