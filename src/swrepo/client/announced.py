"""The documents of a repository with a manifest that came by another way than from its servers."""

from __future__ import annotations

from swrepo.format.wellknown import MANIFEST
from swrepo.objects.store import DOCUMENT_LIMIT, Documents


class WithManifest:
    """Documents, of which the manifest is `manifest`; who asks checks it like any other."""

    def __init__(self, manifest: bytes, documents: Documents) -> None:
        self._manifest = manifest
        self._documents = documents

    def read(self, name: str, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See Documents."""
        return self._manifest if name == MANIFEST else self._documents.read(name, limit)
