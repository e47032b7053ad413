"""Files whose content is not in the repository: fetched by path from servers of their own, verified all the same.

Source: format.md 11, "Download request details"; a chunk is a part of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import BinaryIO
from urllib.parse import quote_from_bytes

from swrepo.errors import ObjectNotFound
from swrepo.net.remote import UNESCAPED, RemoteRepository
from swrepo.objects.store import Coming, ObjectSource, Want, beginning, fetch_many, whole_from


class WithExternal:
    """An ObjectSource that asks `files` for what is external, and `objects` for the rest."""

    def __init__(self, objects: ObjectSource, files: RemoteRepository | None) -> None:
        """`files`: None where no server of external data is known."""
        self._objects = objects
        self._begin = beginning(objects)
        self._files = files
        self._whole = whole_from(objects)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        left = fetch_many(self._objects, [want for want in wants if want.place is None], deliver)
        return [want for want in wants if want.place is not None] + left

    def fetch_whole(self, want: Want) -> bytes:
        """See FetchesWhole."""
        if want.place is None:
            return self._whole(want)
        plain = BytesIO()
        self.fetch(want, plain)
        return plain.getvalue()

    def begin(self, want: Want) -> Coming | None:
        """See BeginsFetching."""
        return self._begin(want) if want.place is None else None

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource."""
        if want.place is None:
            self._objects.fetch(want, out)
            return
        shown = want.place.path.decode("utf-8", "backslashreplace")
        if self._files is None:
            raise ObjectNotFound(
                f"the content of {shown} is external, and no server for it is known: set CVMFS_EXTERNAL_URL"
            )
        path = quote_from_bytes(want.place.path.lstrip(b"/"), safe=UNESCAPED)
        self._files.fetch_part(path, want, out, want.place.offset)
