"""Extended attributes as a catalog stores them: one blob per entry. Source: format.md 6, "xattr BLOB"."""

from __future__ import annotations

from collections.abc import Mapping

from swrepo.errors import FormatError

_VERSION = 1
_HEADER_SIZE = 2
_MAX = 255
"""Names, values and the number of attributes each have one byte for their length."""


def encode(attributes: Mapping[bytes, bytes]) -> bytes | None:
    """The blob, attributes sorted by name; None where there are none. FormatError for what does not fit."""
    if not attributes:
        return None
    if len(attributes) > _MAX:
        raise FormatError(f"{len(attributes)} extended attributes; the format holds {_MAX}")
    parts = [bytes((_VERSION, len(attributes)))]
    for name, value in sorted(attributes.items()):
        if not fits(name, value):
            raise FormatError(
                f"extended attribute {name!r}: {len(name)}+{len(value)} bytes; the format holds {_MAX} each"
            )
        parts.append(bytes((len(name), len(value))) + name + value)
    return b"".join(parts)


def fits(name: bytes, value: bytes) -> bool:
    """Whether the format can hold this attribute."""
    return 0 < len(name) <= _MAX and len(value) <= _MAX


def decode(blob: bytes | None) -> dict[bytes, bytes]:
    """Read a blob (None and empty mean no attributes); FormatError where it is malformed."""
    if not blob:
        return {}
    if len(blob) < _HEADER_SIZE or blob[0] != _VERSION:
        raise FormatError(f"extended attributes of version {blob[0]}, expected {_VERSION}")
    attributes: dict[bytes, bytes] = {}
    position = _HEADER_SIZE
    for _ in range(blob[1]):
        header = blob[position : position + 2]
        if len(header) < 2:
            break
        name_end = position + 2 + header[0]
        end = name_end + header[1]
        if end > len(blob):
            break
        attributes[blob[position + 2 : name_end]] = blob[name_end:end]
        position = end
    else:
        return attributes
    raise FormatError(f"extended attributes end after {len(attributes)} of {blob[1]}")
