"""Makes the checksum beside a repository that of its reference log again, where another machine or tool wrote last."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile

from swrepo.errors import FormatError, ObjectNotFound
from swrepo.format import envelope
from swrepo.format import manifest as manifests
from swrepo.format.object_id import ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.directory import writing
from swrepo.publish.storage import reading
from swrepo.repository.reflog import ReflogFile
from swrepo.system.atomic import write_atomically
from swrepo.system.lock import exclusive
from swrepo.upkeep.opening import Keeper

_REFLOG_LIMIT = 1 << 30


def repair(keeper: Keeper, fqrn: str) -> str:
    """What was done; empty where there was nothing to do. FormatError where the log itself is damaged."""
    places = keeper.layout.repository(fqrn)
    checksum_file = places.reflog_checksum
    with exclusive(places.lock, f"repairing {fqrn}"), writing(places.spool):
        storage = reading(places)
        algorithm = manifests.parse(envelope.split(storage.read(MANIFEST)).body).root_catalog.algorithm
        try:
            data = storage.read(REFLOG, _REFLOG_LIMIT)
        except ObjectNotFound:
            return _without_log(checksum_file)
        _examine(data, fqrn)
        right = f"{ObjectId.of(data, algorithm)}\n".encode()
        if checksum_file.exists() and checksum_file.read_bytes() == right:
            return ""
        write_atomically(checksum_file, right)
        return f"the checksum of {REFLOG} was written anew"


def _examine(data: bytes, fqrn: str) -> None:
    with NamedTemporaryFile(suffix=".db") as file:
        file.write(data)
        file.flush()
        with closing(ReflogFile.open(Path(file.name))) as log:
            if log.fqrn != fqrn:
                raise FormatError(f"{REFLOG} is that of {log.fqrn!r}; restore it from a backup or replica")
            log.references()


def _without_log(checksum_file: Path) -> str:
    if not checksum_file.exists():
        return ""
    checksum_file.unlink()
    return f"there is no {REFLOG}; its checksum was removed"
