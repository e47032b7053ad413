"""One request to a bucket: signed, sent by libcurl, repeated where that may help, its answer or an error of ours."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

import pycurl

from swrepo import __version__
from swrepo.errors import NotFound, PermissionRefused, Unreachable
from swrepo.net.http import find_ca_bundle
from swrepo.net.s3_settings import S3Settings
from swrepo.net.s3_signing import S3Request, signed

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds between two tries, before the half that chance takes away. Source: the original's."""

_LONGEST_ERROR = 64 << 10
_FIRST_ERROR = 300
_BUSY = 429
_FORBIDDEN = 403
_MISSING = 404
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")

Body = bytes | BinaryIO
"""A file is sent from its beginning."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty where it was written to a file, unless it tells of an error. `size` is the announced one."""

    status: int
    body: bytes
    size: int = 0


class S3Client:
    """Requests to one bucket, from any thread; each thread keeps a connection. After a fork: make a new one."""

    def __init__(
        self,
        settings: S3Settings,
        *,
        pause: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self._pause = pause
        self._now = now
        self._threads = threading.local()
        self._bundle = find_ca_bundle()

    def send(
        self,
        request: S3Request,
        body: Body = b"",
        size: int = 0,
        headers: tuple[str, ...] = (),
        out: BinaryIO | None = None,
    ) -> Answer:
        """Send and wait. A 404 is an answer; PermissionRefused for 403, Unreachable for what no repetition mended."""
        tries: list[str] = []
        url = request.url(self.settings)
        for attempt in range(self.settings.retries + 1):
            if attempt:
                self._pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)) * random.uniform(0.5, 1))  # noqa: S311
            try:
                answer = self._once(request, url, body, size, headers, out)
            except pycurl.error as error:
                tries.append(str(error.args[1] if len(error.args) > 1 else error))
                continue
            if answer.status < _FIRST_ERROR or answer.status == _MISSING:
                return answer
            if answer.status == _FORBIDDEN:
                raise PermissionRefused(f"{request.method} {url} was refused: {_reason(answer)}; {_hint(request)}")
            tries.append(f"HTTP status {answer.status} {_reason(answer)}".strip())
            if answer.status < 500 and answer.status != _BUSY:
                break
        raise Unreachable(f"{request.method} {url} failed", tuple(tries))

    def _once(
        self, request: S3Request, url: str, body: Body, size: int, headers: tuple[str, ...], out: BinaryIO | None
    ) -> Answer:
        curl = self._handle()
        curl.setopt(pycurl.URL, url)
        lines = [f"{name}: {value}" for name, value in signed(request, self.settings, self._now()).items()]
        curl.setopt(pycurl.HTTPHEADER, [*lines, *headers, "Expect:"])
        target = BytesIO() if out is None else out
        target.seek(0)
        target.truncate()
        curl.setopt(pycurl.WRITEFUNCTION, target.write)
        curl.setopt(pycurl.NOBODY, int(request.method == "HEAD"))
        if request.method == "PUT":
            source = BytesIO(body) if isinstance(body, bytes) else body
            source.seek(0)
            curl.setopt(pycurl.UPLOAD, 1)
            curl.setopt(pycurl.READFUNCTION, source.read)
            curl.setopt(pycurl.INFILESIZE_LARGE, size)
        elif request.method == "GET":
            curl.setopt(pycurl.HTTPGET, 1)
        elif request.method != "HEAD":
            curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        curl.perform()
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        announced = int(curl.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T))
        if out is not None and status < _FIRST_ERROR:
            return Answer(status, b"", announced)
        target.seek(0)
        return Answer(status, target.read(-1 if out is None else _LONGEST_ERROR), announced)

    def _handle(self) -> pycurl.Curl:
        """The thread's handle, as new but for its connection."""
        curl = getattr(self._threads, "curl", None)
        if curl is None:
            curl = self._threads.curl = pycurl.Curl()
        curl.reset()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.USERAGENT, f"cvmfs swrepo {__version__}")
        curl.setopt(pycurl.NOPROXY, "")  # else libcurl reads the environment
        curl.setopt(pycurl.PROXY, self.settings.proxy)
        curl.setopt(pycurl.CONNECTTIMEOUT, min(self.settings.timeout, 20))
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, self.settings.timeout)
        if self._bundle is not None:
            curl.setopt(pycurl.CAINFO, self._bundle)
        return curl


def missing(request: S3Request, settings: S3Settings) -> NotFound:
    """The error for a bucket that is not there."""
    return NotFound(f"{request.url(settings)}: there is no bucket {settings.bucket}; create it, or name another one")


def _reason(answer: Answer) -> str:
    parts = (_CODE.search(answer.body), _MESSAGE.search(answer.body))
    return ": ".join(found[1].decode("utf-8", "replace") for found in parts if found)


def _hint(request: S3Request) -> str:
    if request.method == "HEAD":
        return "for objects that are missing S3 says so unless the key may list the bucket"
    return "check the key, its permissions, the region and this machine's clock"
