"""Reading numbers and text out of the line-based documents; every failure is a FormatError that names the line."""

from __future__ import annotations

from swrepo.errors import FormatError

_MAX_DIGITS = 20
"""A 64-bit number has at most 20 digits; more is not a number of this format (and slow to convert)."""


def number(text: str, what: str) -> int:
    """A non-negative 64-bit decimal number."""
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS or (value := int(text)) >= 1 << 64:
        raise FormatError(f"{what}: not a number: {text[:40]!r}")
    return value


def yes_no(text: str, what: str) -> bool:
    """`yes` or `no`."""
    if text not in ("yes", "no"):
        raise FormatError(f"{what}: neither yes nor no: {text[:40]!r}")
    return text == "yes"


def lines(body: bytes, what: str) -> list[str]:
    """The lines of a document that is UTF-8 text."""
    try:
        return body.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"{what} is not text") from error
