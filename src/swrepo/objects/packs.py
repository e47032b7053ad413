"""Many small objects out of one that holds them: a source whose every object is checked by its own name.

What a pack says of its objects is only where to look: a wrong name, a bomb, a piece that is cut off or lies elsewhere
cost the time of finding out, and the object is left to be fetched by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import BinaryIO

from swrepo.errors import CorruptObject, FormatError, ObjectTooLarge, SwrepoError
from swrepo.format import pack
from swrepo.objects import codec
from swrepo.objects.store import ObjectSource, Want

log = logging.getLogger(__name__)


class PackedObjects:
    """ObjectSource and FetchesMany over one pack, which is fetched from `source` when it is needed, and not kept.

    `wants`: the objects that the pack itself is made of, in order. `size`: what was fetched for it, in plain bytes.
    """

    def __init__(self, source: ObjectSource, wants: Sequence[Want]) -> None:
        self._source = source
        self._wants = wants
        self.size = 0

    def fetch(self, want: Want, out: BinaryIO) -> None:
        """See ObjectSource: one object by itself does not need the pack."""
        self._source.fetch(want, out)

    def fetch_many(self, wants: Sequence[Want], deliver: Callable[[Want, bytes], object]) -> list[Want]:
        """See FetchesMany."""
        try:
            data = self._fetched()
            places = {row.id: row for row in pack.table(data)}
        except SwrepoError as error:
            log.info("a pack is left out: %s", error)
            return list(wants)
        left: list[Want] = []
        for want in wants:
            row = places.get(want.id)
            if row is None:
                left.append(want)
                continue
            try:
                plain = codec.decode_whole(data[row.offset : row.offset + row.stored], want)
            except CorruptObject as error:
                log.info("an object in a pack is not what it is called: %s", error)
                left.append(want)
            else:
                deliver(want, plain)
        return left

    def _fetched(self) -> bytes:
        """The bytes of the pack; they are bounded by what its directory entry announces."""
        if not self._wants or any(want.size is None for want in self._wants):
            raise FormatError("nothing says how large the pack is")
        announced = sum(want.size or 0 for want in self._wants)
        if announced > pack.MOST_BYTES:
            raise ObjectTooLarge(f"a pack of {announced} bytes; {pack.MOST_BYTES} are the most")
        parts = []
        for want in self._wants:
            part = BytesIO()
            self._source.fetch(want, part)
            parts.append(part.getvalue())
        self.size = announced
        return parts[0] if len(parts) == 1 else b"".join(parts)
