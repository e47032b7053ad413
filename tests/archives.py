"""What tests of archives share: members in one line, archives of them, and their ingestion."""

from __future__ import annotations

import tarfile
from io import BytesIO
from typing import Any

from swrepo.publish.archive import Owner
from swrepo.publish.ingestion import Ingestion
from swrepo.publish.outcome import Outcome
from swrepo.repository.walk import walk
from tests.publishing import Server

Item = tuple[tarfile.TarInfo, bytes]

TYPES = {
    "f": tarfile.REGTYPE,
    "d": tarfile.DIRTYPE,
    "l": tarfile.SYMTYPE,
    "h": tarfile.LNKTYPE,
    "p": tarfile.FIFOTYPE,
    "c": tarfile.CHRTYPE,
    "b": tarfile.BLKTYPE,
}


def item(name: str, kind: str = "f", content: bytes = b"", **columns: Any) -> Item:
    """A member; `columns` are attributes of a TarInfo (mode, uid, mtime, linkname, pax_headers, ...)."""
    info = tarfile.TarInfo(name)
    info.type = TYPES.get(kind, kind.encode())
    info.size = len(content)
    info.mode = 0o755 if kind == "d" else 0o644
    info.mtime = 1_700_000_000
    for column, value in columns.items():
        setattr(info, column, value)
    return info, content


def tar(*items: Item, format: int = tarfile.PAX_FORMAT, end: bool = True) -> bytes:  # noqa: A002 - as in tarfile
    """An archive; without its `end` it lacks the mark."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, content in items:
            archive.addfile(info, BytesIO(content))
        length = archive.offset
    return out.getvalue() if end else out.getvalue()[:length]


def ingest(
    server: Server, data: bytes | None, base: bytes = b"", owner: Owner | None = None, **options: Any
) -> Outcome:
    """Ingest the archive, an hour after the last time. `changes` of the publisher go in as `publisher`."""
    server.clock.ns += 3600 * 10**9
    changes = options.pop("publisher", {})
    ingestion = Ingestion(None if data is None else BytesIO(data).read, base, **options)
    return server.publisher(**changes).publish_archives(server.fqrn, ingestion, owner)


def shown(server: Server) -> dict[bytes, Any]:
    """Every path of the newest revision but the root, with its content, its link's target, or its type's letter."""
    found: dict[bytes, Any] = {}
    with server.revision() as revision:
        for path, entry in walk(revision):
            if entry.is_regular:
                content = revision.content(path)
                found[path] = content.pread(0, content.size)
                content.close()
            elif path:
                found[path] = entry.symlink.decode() if entry.is_symlink else "d" if entry.is_directory else "special"
    return found
