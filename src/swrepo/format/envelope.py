"""The envelope of signed documents: text, `--`, hash of the text, signature. Source: format.md 3 and 4."""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.errors import FormatError
from swrepo.format.object_id import Algorithm, ObjectId

_SEPARATOR = b"--\n"


@dataclass(frozen=True, slots=True)
class Envelope:
    """`body` is the text with its last newline; `hash_text` is what was signed, as written (no newline)."""

    body: bytes
    hash_text: str
    signature: bytes

    @property
    def matches_own_hash(self) -> bool:
        """Whether the hash line is that of the body. Says nothing of who signed."""
        stated = ObjectId.parse(self.hash_text)
        return stated.algorithm.digest(self.body) == stated.digest

    def encode(self) -> bytes:
        """The whole document."""
        return self.body + _SEPARATOR + self.hash_text.encode() + b"\n" + self.signature


def split(raw: bytes) -> Envelope:
    """Take a document apart; the text ends at the first line that is `--`. FormatError where there is none."""
    body, separator, rest = raw.partition(b"\n" + _SEPARATOR)
    hash_line, newline, signature = rest.partition(b"\n")
    if not separator or not newline:
        raise FormatError("a signed document without its '--' and hash lines (truncated, or not a repository's file)")
    try:
        hash_text = hash_line.decode("ascii")
    except UnicodeDecodeError as error:
        raise FormatError("a signed document whose hash line is not text") from error
    ObjectId.parse(hash_text)  # FormatError unless it is a hash
    return Envelope(body + b"\n", hash_text, signature)


def hash_text(body: bytes, algorithm: Algorithm) -> str:
    """The line that gets signed for `body`."""
    return ObjectId.of(body, algorithm).text
