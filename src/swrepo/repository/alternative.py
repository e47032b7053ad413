"""Bootstrap objects beside `data/`: in repositories that restrict it, `.cvmfsalt-<name>` is open to everybody.

Source: format.md 1 and 3 (manifest line A).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import BinaryIO

from swrepo.errors import ObjectNotFound
from swrepo.format.object_id import Kind
from swrepo.format.wellknown import ALTERNATIVE_PREFIX
from swrepo.objects import codec
from swrepo.objects.store import Coming, Documents, ObjectSource, Want, beginning, fetch_many, whole_from

_KINDS = frozenset({Kind.CATALOG, Kind.CERTIFICATE, Kind.HISTORY, Kind.METAINFO})


class AlternativePaths:
    """An ObjectSource that asks `source` first and looks for the alternative name of what that does not have."""

    def __init__(self, source: ObjectSource, documents: Documents) -> None:
        self._source = source
        self._begin = beginning(source)
        self._documents = documents
        self._whole = whole_from(source)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        return fetch_many(self._source, wants, deliver)

    def fetch_whole(self, want: Want) -> bytes:
        """See FetchesWhole."""
        if want.id.kind not in _KINDS:
            return self._whole(want)
        plain = BytesIO()
        self.fetch(want, plain)
        return plain.getvalue()

    def begin(self, want: Want) -> Coming | None:
        """See BeginsFetching."""
        return self._begin(want)

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        try:
            self._source.fetch(want, out)
        except ObjectNotFound as not_found:
            if want.id.kind not in _KINDS:
                raise
            try:
                stored = self._documents.read(ALTERNATIVE_PREFIX + want.id.name, want.limit)
            except ObjectNotFound:
                raise not_found from None
            out.seek(0)
            out.truncate()
            codec.decode([stored], want, out)
