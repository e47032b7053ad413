"""What a catalog says of itself: its table of properties. Source: format.md 6."""

from __future__ import annotations

from collections.abc import Mapping

from swrepo.catalog import schema
from swrepo.catalog.database import Database
from swrepo.errors import FormatError
from swrepo.format.object_id import Kind, ObjectId


def read_properties(database: Database) -> dict[str, str]:
    """All of them; FormatError where the file has no such table."""
    if not database.columns("properties"):
        message = "a catalog without properties: this is a database, but not a catalog"
        raise FormatError(message)
    rows = database.rows("SELECT CAST(key AS BLOB), CAST(value AS BLOB) FROM properties")
    return {_text(key): _text(value) for key, value in rows}


def check_version(properties: Mapping[str, str], what: str) -> None:
    """FormatError where the schema of `what` is one that cannot be read."""
    text = properties.get(schema.KEY_SCHEMA, "")
    try:
        version = float(text)
    except ValueError:
        version = 0.0
    # Versions are written as floating point numbers, sometimes with the noise that those have.
    if not schema.OLDEST_SCHEMA - 0.001 < version < schema.NEWEST_SCHEMA + 0.001:
        message = f"{what} has schema {text[:20]!r}; {schema.OLDEST_SCHEMA} to {schema.NEWEST_SCHEMA} can be read"
        raise FormatError(message)


def number(properties: Mapping[str, str], key: str) -> int:
    """A property that is a number of less than 20 digits; 0 for anything else."""
    text = properties.get(key, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def catalog_id(properties: Mapping[str, str], key: str) -> ObjectId | None:
    """A property that names a catalog; None where it names none, or is all zeros."""
    text = properties.get(key, "")
    found = ObjectId.parse(text, Kind.CATALOG) if text else None
    return found if found is not None and any(found.digest) else None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "surrogateescape")
