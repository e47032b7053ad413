"""The server that announces new revisions: whether it answers, and what it announced last."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from swrepo.cli.diagnosis.finding import Finding, ok, warning
from swrepo.client.request import AccessRequest
from swrepo.errors import FormatError, Unreachable
from swrepo.format import envelope, manifest
from swrepo.format.announcement import LIMIT, SUBSCRIBE, Announcement, subscription
from swrepo.net.connect import event_stream

_AREA = "announcements"
_PATIENCE = 3.0
"""Seconds for an answer; the last announcement comes with it, where there was one."""

_MEND = "ask its operator, or correct CVMFS_NOTIFICATION_SERVER; without it new revisions are found every TTL"


def announcing(request: AccessRequest, fqrn: str) -> Iterator[Finding]:
    """Subscribe for a moment."""
    server = request.network.announcer or ""
    stream = event_stream(server + SUBSCRIBE, subscription(fqrn), request.network, LIMIT)
    heard: list[bytes] = []

    def hear(data: bytes) -> None:
        heard.append(data)
        stream.close()

    end = threading.Timer(_PATIENCE, stream.close)
    end.start()
    try:
        stream.listen(hear)
    except Unreachable as failure:
        yield warning(_AREA, str(failure), _MEND)
        return
    finally:
        end.cancel()
    if not stream.answers:
        yield warning(_AREA, f"{server} does not answer within {_PATIENCE:g} s", _MEND)
    elif not heard:
        yield ok(_AREA, f"{server} answers, and has announced nothing yet")
    else:
        yield _judged(server, fqrn, heard[0])


def _judged(server: str, fqrn: str, data: bytes) -> Finding:
    try:
        message = Announcement.parse(data)
        revision = manifest.parse(envelope.split(message.manifest).body).revision
    except FormatError as failure:
        return warning(_AREA, f"{server} says what is not understood: {failure}", _MEND)
    if message.fqrn != fqrn:
        return warning(_AREA, f"{server} announces {message.fqrn}, which it was not asked for", _MEND)
    return ok(_AREA, f"{server} announced revision {revision} last")
