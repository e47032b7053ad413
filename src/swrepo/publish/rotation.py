"""Replaces a repository's own key and certificate; its master key, which clients know, stays.

In an order in which clients believe the repository at every moment, and which goes on after an interruption:

    new key and certificate beside the old ones -> whitelist that lists both -> new files in place -> manifest signed

The private key of before is gone then. Its certificate stays listed for 30 days, or, where the key is in wrong hands,
not at all.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swrepo.errors import PublishError
from swrepo.format.manifest import Manifest
from swrepo.objects.directory import writing
from swrepo.publish.keyring import PUBLIC, SECRET
from swrepo.publish.layout import KeyFiles, RepositoryPlaces
from swrepo.publish.opening import OpenRepository, open_repository
from swrepo.publish.plain import read_object
from swrepo.publish.renewal import Renewer, listed_certificates
from swrepo.system.atomic import sync_directory, write_atomically
from swrepo.system.lock import exclusive
from swrepo.trust.keys import Certificate
from swrepo.trust.signer import SigningKey


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation came to: the manifest is None where only the whitelist announces the new key so far."""

    manifest: Manifest | None
    whitelist_ends: datetime


def announce(places: RepositoryPlaces, renewer: Renewer) -> Rotated:
    """Make the new key and put it on the whitelist; `rotate` does the rest, at once or days later."""
    with _alone(places, renewer), writing(places.keys.signing):
        return Rotated(None, _list_both(places, renewer))


def rotate(places: RepositoryPlaces, renewer: Renewer, *, revoke: bool = False) -> Rotated:
    """Replace the key. `revoke`: the old one is not to be believed from now on, whoever still needs it.

    Raises NotFound without the master key, TrustError or PublishError where the repository cannot be signed; what was
    done by then is right, and the next call goes on from there.
    """
    with _alone(places, renewer), writing(places.keys.signing):
        keys = places.keys
        if _is_announced(keys) or _is_signed_with_this_key(_open(places, renewer)):
            _list_both(places, renewer)
            _put_in_place(keys, renewer.now)
        with writing(places.spool):
            manifest = renewer.sign_manifest(_open(places, renewer))
        if revoke:
            keys.previous_certificate.unlink(missing_ok=True)
        return Rotated(manifest, renewer.sign_whitelist(places, listed_certificates(keys, renewer.now)))


def _alone(places: RepositoryPlaces, renewer: Renewer) -> AbstractContextManager[None]:
    return exclusive(places.lock, f"replacing the key of {places.fqrn}", renewer.seconds)


def _open(places: RepositoryPlaces, renewer: Renewer) -> OpenRepository:
    return open_repository(places, renewer.open_storage, renewer.now)


def _is_announced(keys: KeyFiles) -> bool:
    return keys.coming.signing.exists() or keys.coming.certificate.exists()


def _is_signed_with_this_key(repository: OpenRepository) -> bool:
    """False where a rotation was interrupted just before its end."""
    name = repository.manifest.certificate
    return name is not None and read_object(repository.objects, name) == repository.certificate_pem


def _list_both(places: RepositoryPlaces, renewer: Renewer) -> datetime:
    keys, now = places.keys, renewer.now
    coming = _prepare(keys, places.fqrn, now)
    listed = listed_certificates(keys, now)
    return renewer.sign_whitelist(places, list(dict.fromkeys([*listed, coming])))


def _prepare(keys: KeyFiles, fqrn: str, now: datetime) -> Certificate:
    """The new certificate; what an interrupted rotation made is used."""
    coming = keys.coming
    if not _is_announced(keys):
        _write(coming.signing, SigningKey.generate().pem, SECRET, keys.signing)
    # Without a new key beside it, the new certificate is that of the key in place: it was interrupted between the two.
    key = SigningKey.load((coming.signing if coming.signing.exists() else keys.signing).read_bytes())
    if not coming.certificate.exists():
        _write(coming.certificate, key.make_certificate(fqrn, now), PUBLIC, keys.certificate)
    certificate = Certificate.parse(coming.certificate.read_bytes())
    if certificate.public_key != key.public_key:
        raise PublishError(
            f"{coming.certificate} is not the certificate of {coming.signing}; remove both and try again"
        )
    return certificate


def _put_in_place(keys: KeyFiles, now: datetime) -> None:
    """A crash between two of these lines leaves the new certificate under its temporary name: the next run goes on."""
    coming, before = keys.coming, keys.previous_certificate
    _write(before, keys.certificate.read_bytes(), PUBLIC, keys.certificate)
    os.utime(before, (now.timestamp(), now.timestamp()))  # the overlap counts from here
    if coming.signing.exists():
        os.replace(coming.signing, keys.signing)
        sync_directory(keys.signing.parent)
    os.replace(coming.certificate, keys.certificate)
    sync_directory(keys.certificate.parent)


def _write(path: Path, data: bytes, mode: int, like: Path) -> None:
    """A file that belongs to whom the file belongs that it will replace."""
    write_atomically(path, data, mode)
    if os.geteuid() == 0 and like.exists():
        facts = like.stat()
        os.chown(path, facts.st_uid, facts.st_gid)
