"""The manifest `.cvmfspublished`: which root catalog is current. Source: format.md 3.

Only the text; envelope.py has the envelope, trust.chain decides whether to believe it.
"""

from __future__ import annotations

from dataclasses import dataclass

from swrepo.errors import FormatError
from swrepo.format.fields import lines, number, yes_no
from swrepo.format.object_id import Kind, ObjectId

DEFAULT_TTL = 240
"""Seconds, the original's default."""

_ROOT_PATH_HASH = "d41d8cd98f00b204e9800998ecf8427e"
"""MD5 of the empty path; a manifest is always that of a repository's root."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says. Sizes in bytes, `ttl` in seconds, `timestamp` in Unix seconds."""

    root_catalog: ObjectId
    revision: int
    ttl: int = DEFAULT_TTL
    root_size: int | None = None
    garbage_collectable: bool = False
    alt_catalog_path: bool = False
    fqrn: str | None = None
    certificate: ObjectId | None = None
    history: ObjectId | None = None
    timestamp: int | None = None
    metainfo: ObjectId | None = None
    reflog: ObjectId | None = None

    def encode(self) -> bytes:
        """The text, in the original's order of lines, with the last newline."""
        fields: list[tuple[str, object]] = [
            ("C", self.root_catalog.text),
            ("B", self.root_size),
            ("R", _ROOT_PATH_HASH),
            ("D", self.ttl),
            ("S", self.revision),
            ("G", _yes_no_text(self.garbage_collectable)),
            ("A", _yes_no_text(self.alt_catalog_path)),
            ("N", self.fqrn),
            ("X", self.certificate and self.certificate.text),
            ("H", self.history and self.history.text),
            ("T", self.timestamp),
            ("M", self.metainfo and self.metainfo.text),
            ("Y", self.reflog and self.reflog.text),
        ]
        return "".join(f"{key}{value}\n" for key, value in fields if value is not None).encode()


def parse(body: bytes) -> Manifest:
    """Read a manifest's text: any order of lines, unknown letters ignored. FormatError where it is malformed."""
    fields: dict[str, str] = {}
    for line in lines(body, "the manifest"):
        if line:
            fields.setdefault(line[0], line[1:])
    missing = [key for key in "CRDS" if key not in fields]
    if missing:
        raise FormatError(f"the manifest lacks the lines {', '.join(missing)}")
    if fields["R"] != _ROOT_PATH_HASH:
        raise FormatError(f"the manifest is not that of a repository's root (R line {fields['R'][:40]!r})")
    return Manifest(
        root_catalog=ObjectId.parse(fields["C"], Kind.CATALOG),
        revision=number(fields["S"], "manifest line S"),
        ttl=number(fields["D"], "manifest line D"),
        root_size=_optional_number(fields, "B"),
        garbage_collectable="G" in fields and yes_no(fields["G"], "manifest line G"),
        alt_catalog_path="A" in fields and yes_no(fields["A"], "manifest line A"),
        fqrn=fields.get("N"),
        certificate=_optional_id(fields, "X", Kind.CERTIFICATE),
        history=_optional_id(fields, "H", Kind.HISTORY),
        timestamp=_optional_number(fields, "T"),
        metainfo=_optional_id(fields, "M", Kind.METAINFO),
        reflog=_optional_id(fields, "Y", Kind.FILE),
    )


def _optional_number(fields: dict[str, str], key: str) -> int | None:
    return number(fields[key], f"manifest line {key}") if key in fields else None


def _optional_id(fields: dict[str, str], key: str, kind: Kind) -> ObjectId | None:
    return ObjectId.parse(fields[key], kind) if key in fields else None


def _yes_no_text(value: bool) -> str:
    return "yes" if value else "no"
