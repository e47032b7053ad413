"""What a notification server is asked, and the message by which it tells of a new revision.

Source: CernVM-FS 2.12 (client, `cvmfs_swissknife notify`, gateway), observed: `GET URL/notifications/subscribe` with a
subscription as its body is answered with server-sent events, one for each message, the last known one at once;
`POST URL/notifications/publish` takes a message and answers `{"status": "ok"}`.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass

from swrepo.errors import FormatError

SUBSCRIBE, PUBLISH = "/notifications/subscribe", "/notifications/publish"
LIMIT = 256 << 10
"""Bytes of a message. A signed manifest has less than one thousand."""

_VERSION = 1
_TYPE = "activity"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A repository's signed manifest, as it is published: a claim, that nobody has checked yet."""

    fqrn: str
    manifest: bytes
    timestamp: str = ""

    @classmethod
    def parse(cls, raw: bytes) -> Announcement:
        """Read a message; FormatError where it is none."""
        try:
            document = json.loads(raw)
            if document["type"] != _TYPE:
                raise FormatError(f"a message of the unknown type {document['type']!r:.60}")
            fqrn, text, timestamp = document["repository"], document["manifest"], document.get("timestamp", "")
            if not all(isinstance(field, str) for field in (fqrn, text, timestamp)):
                raise TypeError
            return cls(fqrn, b64decode(text, validate=True), timestamp)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"not a message of a notification server: {raw[:60]!r}") from error

    def encode(self) -> bytes:
        """The message."""
        document = {
            "version": _VERSION,
            "timestamp": self.timestamp,
            "type": _TYPE,
            "repository": self.fqrn,
            "manifest": b64encode(self.manifest).decode(),
        }
        return json.dumps(document).encode()


def subscription(fqrn: str) -> bytes:
    """What is sent to hear of one repository."""
    return json.dumps({"version": _VERSION, "repository": fqrn}).encode()
