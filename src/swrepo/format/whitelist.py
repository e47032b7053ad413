"""The whitelist `.cvmfswhitelist`: which certificates may sign, until when. Source: format.md 4.

Only the text; trust.chain decides whether to believe it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from swrepo.errors import FormatError
from swrepo.format.fields import lines
from swrepo.format.object_id import Algorithm, ObjectId

_STAMP = "%Y%m%d%H%M%S"
_STAMP_DIGITS = re.compile(r"[0-9]{14}")
_HEAD_LINES = 3
_COMMENT = re.compile(r"[ \t#]")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hash of a certificate's DER form."""

    algorithm: Algorithm
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read `AA:BB:...` with `-SHAKE128` or `-RMD160` after it where it is not SHA-1."""
        try:
            name = ObjectId.parse(text.replace(":", "").lower())
        except FormatError as error:
            raise FormatError(f"not a certificate's fingerprint: {text[:90]!r}") from error
        return cls(name.algorithm, name.digest)

    @property
    def text(self) -> str:
        """The form of whitelists: upper case, colons."""
        return self.digest.hex(":").upper() + self.algorithm.text_suffix.upper()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Whitelist:
    """What a whitelist says; times are UTC, of one second's resolution."""

    created: datetime
    expires: datetime
    fqrn: str
    fingerprints: tuple[Fingerprint, ...]

    def encode(self, comment: str = "") -> bytes:
        """The text with its last newline; `comment` goes behind each fingerprint."""
        tail = f" # {comment}" if comment else ""
        head = [self.created.strftime(_STAMP), "E" + self.expires.strftime(_STAMP), "N" + self.fqrn]
        return "".join(f"{line}\n" for line in head + [f.text + tail for f in self.fingerprints]).encode()

    def has_expired(self, now: datetime) -> bool:
        """Whether `now` is past the last moment, which the format takes at whole hours."""
        return _hour(now) >= _hour(self.expires)


def parse(body: bytes) -> Whitelist:
    """Read a whitelist's text. FormatError where it is malformed."""
    found = lines(body, "the whitelist")
    if len(found) < _HEAD_LINES or not found[1].startswith("E") or not found[2].startswith("N"):
        raise FormatError("the whitelist does not start with its creation, E and N lines")
    entries = (_COMMENT.split(line, maxsplit=1)[0] for line in found[_HEAD_LINES:])
    # V and W lines name optional checks against a certificate authority; fingerprints are hex digits.
    fingerprints = tuple(Fingerprint.parse(entry) for entry in entries if entry and entry[0] not in "VW")
    return Whitelist(_time(found[0]), _time(found[1][1:]), found[2][1:], fingerprints)


def _time(text: str) -> datetime:
    if _STAMP_DIGITS.fullmatch(text) is not None:
        try:
            return datetime.fromisoformat(f"{text[:8]}T{text[8:]}+00:00")  # `strptime` takes milliseconds to load
        except ValueError:
            pass
    raise FormatError(f"whitelist: not a time (YYYYMMDDhhmmss): {text[:40]!r}")


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
