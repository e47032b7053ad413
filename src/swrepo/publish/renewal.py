"""Signs a repository's whitelist, or its manifest, again: the same content, a later end. Source: format.md 3 and 4."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from swrepo.catalog.nested import NestedRef
from swrepo.errors import FormatError, NotFound, ObjectNotFound
from swrepo.format import envelope, whitelist
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Algorithm
from swrepo.format.wellknown import PUBLIC_KEY, WHITELIST
from swrepo.format.whitelist import Fingerprint, Whitelist
from swrepo.objects.directory import writing
from swrepo.objects.store import Documents
from swrepo.publish import settings
from swrepo.publish.keyring import WHITELIST_DAYS, master_key
from swrepo.publish.layout import KeyFiles, RepositoryPlaces
from swrepo.publish.opening import OpenRepository, open_repository
from swrepo.publish.seal import Sealer
from swrepo.publish.storage import OpenStorage, opened
from swrepo.system.atomic import write_atomically
from swrepo.system.lock import exclusive
from swrepo.trust.keys import Certificate
from swrepo.trust.signer import MasterKey, sign_whitelist
from swrepo.trust.smart_card import CARD_DAYS, SmartCard

OVERLAP = timedelta(days=30)
"""How long a whitelist lists the certificate before the last: what slow replicas still have is signed with it."""

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Renewer:
    """Signs for the repositories of a server. `master`: where the master key is, if not among the server's keys.

    `days` is None for as long as is usual: shorter where `card` signs, which it does where there is no file of the key,
    or where it has to (`by_card`).
    """

    days: int | None = None
    master: Path | None = None
    card: SmartCard | None = None
    by_card: bool = False
    clock_ns: Callable[[], int] = time.time_ns
    open_storage: OpenStorage = opened

    @property
    def now(self) -> datetime:
        """The time, to the second."""
        return datetime.fromtimestamp(self.clock_ns() // _NANOSECONDS, UTC)

    def whitelist(self, places: RepositoryPlaces) -> datetime:
        """Sign the whitelist for so many days from now; when it ends.

        Raises NotFound without the master key or the certificate, Busy while somebody publishes.
        """
        with exclusive(places.lock, f"signing the whitelist of {places.fqrn}", self.seconds):
            return self.sign_whitelist(places, listed_certificates(places.keys, self.now))

    def sign_whitelist(self, places: RepositoryPlaces, listed: list[Certificate]) -> datetime:
        """The same for the holder of the lock, who says which certificates are listed."""
        algorithm = settings.load(places.server_conf).algorithm
        key, ends = self._key(places.keys)
        documents = self.open_storage(places).documents
        if places.keys.public.exists():
            documents.write(PUBLIC_KEY, places.keys.public.read_bytes())
        fingerprints = tuple(certificate.fingerprint(algorithm) for certificate in listed)
        documents.write(WHITELIST, _signed(key, places.fqrn, self.now, ends, fingerprints, algorithm))
        return ends

    def whitelist_file(self, file: Path, fqrn: str, keys: KeyFiles) -> datetime:
        """Sign a whitelist that lies in a file, for the certificates that it lists: no repository need be here."""
        found = read_whitelist_text(file.read_bytes())
        if not found.fingerprints or found.fqrn != fqrn:
            raise FormatError(f"{file} is the whitelist of {found.fqrn}, with {len(found.fingerprints)} certificates")
        algorithm = found.fingerprints[0].algorithm
        key, ends = self._key(keys)
        signed = _signed(key, fqrn, self.now, ends, found.fingerprints, algorithm)
        with writing(file):
            write_atomically(file, signed)
        return ends

    def _key(self, keys: KeyFiles) -> tuple[MasterKey, datetime]:
        """What signs a whitelist, and until when it holds."""
        key = master_key(keys, self.master, self.card, only_card=self.by_card)
        usual = CARD_DAYS if key is self.card else WHITELIST_DAYS
        return key, self.now + timedelta(days=usual if self.days is None else self.days)

    def manifest(self, places: RepositoryPlaces) -> Manifest:
        """Sign the manifest again, with the key and certificate of now; the revision stays. Raises as a publication."""
        with exclusive(places.lock, f"signing the manifest of {places.fqrn}", self.seconds), writing(places.spool):
            return self.sign_manifest(open_repository(places, self.open_storage, self.now))

    def sign_manifest(self, repository: OpenRepository) -> Manifest:
        """The same for the holder of the lock."""
        old, sealer = repository.manifest, Sealer.of(repository, self.clock_ns() // 1_000_000)
        return sealer.amend(old, NestedRef(b"", old.root_catalog, old.root_size), None)

    def seconds(self) -> float:
        """The time, for locks."""
        return self.clock_ns() / _NANOSECONDS


def listed_certificates(keys: KeyFiles, now: datetime) -> list[Certificate]:
    """What a whitelist lists: the certificate, and for a while after a rotation the one before. NotFound."""
    try:
        found = [Certificate.parse(keys.certificate.read_bytes())]
    except FileNotFoundError as error:
        raise NotFound(
            f"the certificate {keys.certificate} is missing; restore it (swrepo server keys restore)"
        ) from error
    before = keys.previous_certificate
    if before.exists() and datetime.fromtimestamp(before.stat().st_mtime, UTC) + OVERLAP > now:
        found.append(Certificate.parse(before.read_bytes()))
    return found


def read_whitelist(documents: Documents) -> Whitelist | None:
    """What the repository's whitelist says; None where there is none."""
    try:
        return read_whitelist_text(documents.read(WHITELIST))
    except ObjectNotFound:
        return None


def read_whitelist_text(raw: bytes) -> Whitelist:
    """A whitelist's content; FormatError."""
    return whitelist.parse(envelope.split(raw).body)


def _signed(
    key: MasterKey,
    fqrn: str,
    now: datetime,
    ends: datetime,
    fingerprints: tuple[Fingerprint, ...],
    algorithm: Algorithm,
) -> bytes:
    return sign_whitelist(key, Whitelist(now, ends, fqrn, fingerprints).encode(), algorithm)
