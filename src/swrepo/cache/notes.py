"""What a cache remembers besides objects: the newest manifest that was trusted, and what vouches for it offline.

`cvmfschecksum.FQRN` is the original's breadcrumb (format.md 11). `cvmfspublished.FQRN` and `cvmfswhitelist.FQRN` are
the signed documents as a server had them, left by `swrepo preload`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from swrepo.errors import FormatError, UsageError
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.wellknown import is_fqrn
from swrepo.objects.store import DOCUMENT_LIMIT

BREADCRUMB = "cvmfschecksum."
_MANIFEST = "cvmfspublished."
_WHITELIST = "cvmfswhitelist."


class Signed(NamedTuple):
    """The raw bytes of both documents; nothing has been checked."""

    manifest: bytes
    whitelist: bytes


class Notes(ABC):
    """Mixed into every cache."""

    @abstractmethod
    def read_notes(self, name: str) -> list[bytes]:
        """The notes of that name: one for each directory that has one, at most DOCUMENT_LIMIT bytes of each."""

    @abstractmethod
    def write_note(self, name: str, data: bytes) -> None:
        """Replace a note, durably. Where there is no room, or nothing may be written, the one before stays."""

    def read_breadcrumb(self, fqrn: str) -> Breadcrumb | None:
        """The newest manifest that was trusted here; None where there is none, or it is damaged."""
        found = [crumb for text in self.read_notes(_named(BREADCRUMB, fqrn)) if (crumb := _parse(text)) is not None]
        return max(found, key=lambda crumb: (crumb.revision, crumb.timestamp), default=None)

    def write_breadcrumb(self, fqrn: str, breadcrumb: Breadcrumb) -> None:
        """Remember a manifest: it guards against going back."""
        self.write_note(_named(BREADCRUMB, fqrn), breadcrumb.text.encode("ascii"))

    def read_signed(self, fqrn: str) -> Signed | None:
        """The documents that `write_signed` left, where both are here."""
        pairs = zip(self.read_notes(_named(_MANIFEST, fqrn)), self.read_notes(_named(_WHITELIST, fqrn)), strict=False)
        return next((Signed(manifest, whitelist) for manifest, whitelist in pairs), None)

    def write_signed(self, fqrn: str, signed: Signed) -> None:
        """Leave documents for a mount that reaches no server."""
        self.write_note(_named(_WHITELIST, fqrn), signed.whitelist)
        self.write_note(_named(_MANIFEST, fqrn), signed.manifest)


def _named(prefix: str, fqrn: str) -> str:
    if not is_fqrn(fqrn):
        raise UsageError(f"not the name of a repository: {fqrn!r}")
    return prefix + fqrn


def _parse(text: bytes) -> Breadcrumb | None:
    try:
        return Breadcrumb.parse(text[:DOCUMENT_LIMIT].decode("ascii"))
    except (FormatError, UnicodeDecodeError):
        return None
