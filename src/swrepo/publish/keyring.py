"""The four key files of a repository and its whitelist: made, imported, signed. Source: format.md 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from swrepo.errors import NotFound, PublishError, UsageError
from swrepo.format.object_id import Algorithm
from swrepo.format.wellknown import PUBLIC_KEY, WHITELIST
from swrepo.format.whitelist import Whitelist
from swrepo.objects.store import WritableDocuments
from swrepo.publish import settings
from swrepo.publish.layout import KeyFiles, RepositoryPlaces
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.trust.keys import Certificate
from swrepo.trust.signer import SigningKey, sign_whitelist

WHITELIST_DAYS = 30
_SECRET = 0o400
_PUBLIC = 0o444


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that make and sign a repository."""

    master: SigningKey
    signing: SigningKey
    certificate_pem: bytes

    def whitelist(self, fqrn: str, now: datetime, algorithm: Algorithm, days: int = WHITELIST_DAYS) -> bytes:
        """A signed whitelist that lists the certificate for so many days."""
        fingerprint = Certificate.parse(self.certificate_pem).fingerprint(algorithm)
        text = Whitelist(now, now + timedelta(days=days), fqrn, (fingerprint,)).encode()
        return sign_whitelist(self.master, text, algorithm)


def prepare(files: KeyFiles, fqrn: str, now: datetime) -> Keyring:
    """The keys in `files`, the missing ones made. What is there is never overwritten: it may be the only copy."""
    make_directory(files.master.parent)
    master = _key(files.master)
    _write(files.public, master.public_key.pem, _PUBLIC, "the public key", files.master)
    signing = _key(files.signing)
    if not files.certificate.exists():
        write_atomically(files.certificate, signing.make_certificate(fqrn, now), _PUBLIC)
    certificate_pem = files.certificate.read_bytes()
    if Certificate.parse(certificate_pem).public_key != signing.public_key:
        raise PublishError(f"{files.certificate} is not the certificate of {files.signing}; move one of them away")
    return Keyring(master, signing, certificate_pem)


def import_keys(origin: KeyFiles, files: KeyFiles) -> None:
    """Copy existing keys to their place; UsageError where one is missing, PublishError where another is there."""
    pairs = [(getattr(origin, name), getattr(files, name)) for name in ("master", "public", "signing", "certificate")]
    missing = [str(source) for source, _ in pairs if not source.exists()]
    if missing:
        raise UsageError(f"the keys directory lacks {', '.join(missing)}; without -k, new keys are made")
    make_directory(files.master.parent)
    for source, target in pairs:
        if source != target:
            mode = _SECRET if target in (files.master, files.signing) else _PUBLIC
            _write(target, source.read_bytes(), mode, "a key", source)


def renew_whitelist(places: RepositoryPlaces, documents: WritableDocuments, now: datetime, days: int) -> datetime:
    """Sign the whitelist again, for so many days from now; when it expires. Needs the master key."""
    found = settings.load(places.server_conf)
    for path in (places.keys.master, places.keys.certificate):
        if not path.exists():
            raise NotFound(f"the key file {path} is missing; signing a whitelist needs the master key")
    keys = prepare(places.keys, places.fqrn, now)
    documents.write(PUBLIC_KEY, places.keys.public.read_bytes())
    documents.write(WHITELIST, keys.whitelist(places.fqrn, now, found.algorithm, days))
    return now + timedelta(days=days)


def _key(path: Path) -> SigningKey:
    if not path.exists():
        write_atomically(path, SigningKey.generate().pem, _SECRET)
    return SigningKey.load(path.read_bytes())


def _write(path: Path, data: bytes, mode: int, what: str, origin: Path) -> None:
    if not path.exists():
        write_atomically(path, data, mode)
    elif path.read_bytes().split() != data.split():
        raise PublishError(f"{path} is there already and is not {what} of {origin}; move it away first")
