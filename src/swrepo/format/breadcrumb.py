"""What a client remembers of the newest manifest it has trusted: `<hash>T<timestamp>R<revision>`.

Source: format.md 11 (`cvmfschecksum.<fqrn>` in the cache).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swrepo.errors import FormatError
from swrepo.format.object_id import Kind, ObjectId

_TEXT = re.compile(r"([0-9a-z-]+)(?:T([0-9]{1,20}))?(?:R([0-9]{1,20}))?\n?")


@dataclass(frozen=True, slots=True)
class Breadcrumb:
    """Root catalog, publication time (Unix seconds) and revision."""

    root_catalog: ObjectId
    timestamp: int
    revision: int

    @classmethod
    def parse(cls, text: str) -> Breadcrumb:
        """Read one; old versions lack the revision (0). FormatError where it is none."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise FormatError(f"not a breadcrumb: {text[:90]!r}")
        root = ObjectId.parse(match[1], Kind.CATALOG)
        return cls(root, int(match[2] or 0), int(match[3] or 0))

    @property
    def text(self) -> str:
        return f"{self.root_catalog.text}T{self.timestamp}R{self.revision}"
