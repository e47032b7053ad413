"""The reference log of a replica: what has been copied, for collections. It is the replica's own, and nobody signs it.

Its checksum is beside it in the spool directory, as the original keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from swrepo.errors import CorruptObject, FormatError, ObjectNotFound
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.format.wellknown import REFLOG
from swrepo.objects.store import WritableDocuments
from swrepo.publish.layout import RepositoryPlaces
from swrepo.repository.reflog import Reference, ReflogFile, ReflogWriter
from swrepo.system.atomic import write_atomically

_LIMIT = 1 << 30


def rewrite(
    places: RepositoryPlaces,
    fqrn: str,
    documents: WritableDocuments,
    scratch: Path,
    now: int,
    added: Iterable[ObjectId] = (),
    gone: Iterable[ObjectId] = (),
    algorithm: Algorithm = Algorithm.SHA1,
) -> None:
    """Note objects at the time `now` (Unix), and take others out; a new log where there is none.

    CorruptObject where the log is not the one that was written last.
    """
    references = _references(places, documents, scratch)
    known, added, gone = {one.id for one in references}, list(added), set(gone)
    if references and known.issuperset(added) and known.isdisjoint(gone):
        return
    file = scratch / "reflog"
    writer = ReflogWriter(file, fqrn)
    for reference in references:
        if reference.id not in gone:
            writer.add(*reference)
    for name in added:
        writer.add(name, now)
    writer.finish()
    data = file.read_bytes()
    file.unlink()
    # Killed between these two, the log is the old one and the checksum the new: `check -r` mends that.
    write_atomically(places.reflog_checksum, f"{ObjectId.of(data, algorithm)}\n".encode())
    documents.write(REFLOG, data)


def _references(places: RepositoryPlaces, documents: WritableDocuments, scratch: Path) -> tuple[Reference, ...]:
    try:
        data = documents.read(REFLOG, _LIMIT)
    except ObjectNotFound:
        return ()
    file = scratch / "reflog-before"
    file.write_bytes(data)
    try:
        with closing(ReflogFile.open(file)) as log:
            return log.references()
    except FormatError as error:
        raise CorruptObject(
            f"{REFLOG} of {places.fqrn} cannot be read ({error}); remove it, and the next snapshot begins a new one"
        ) from error
    finally:
        with suppress(FileNotFoundError):
            file.unlink()
