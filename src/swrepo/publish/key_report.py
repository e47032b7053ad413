"""What can be said of a repository's keys: fingerprints, who can read them, whether they fit, until when they hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from swrepo.errors import NotFound, SwrepoError
from swrepo.format.whitelist import Whitelist
from swrepo.publish import settings
from swrepo.publish.layout import RepositoryPlaces
from swrepo.publish.renewal import read_whitelist
from swrepo.publish.storage import reading
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey

SOON = timedelta(days=7)
"""Before the end of a whitelist: somebody has to do something."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One file. `note` is its mode, or that it is not there."""

    what: str
    path: Path
    note: str
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyReport:
    """`troubles`: sentences that say what to do, worst first. `ends` is None where there is no whitelist."""

    fqrn: str
    files: tuple[KeyFile, ...]
    ends: datetime | None
    troubles: tuple[str, ...]


def report(places: RepositoryPlaces, now: datetime) -> KeyReport:
    """Look at the files and the whitelist; what cannot be read is a trouble, not an error."""
    keys = places.keys
    found = [
        KeyFile("master key", keys.master, _mode(keys.master)),
        KeyFile("public key", keys.public, _mode(keys.public), _public_fingerprints(keys.public)),
        KeyFile("repository's key", keys.signing, _mode(keys.signing)),
        KeyFile("certificate", keys.certificate, _mode(keys.certificate), _certificate_fingerprints(places)),
    ]
    if keys.previous_certificate.exists():
        found.append(KeyFile("certificate before", keys.previous_certificate, _mode(keys.previous_certificate)))
    listed = read_whitelist(reading(places))
    troubles = (*whitelist_troubles(places.fqrn, listed, now), *_troubles(places, listed))
    return KeyReport(places.fqrn, tuple(found), listed.expires if listed else None, troubles)


def whitelist_troubles(fqrn: str, listed: Whitelist | None, now: datetime) -> Iterator[str]:
    """Alarms about the end of the whitelist."""
    resign = f"swrepo server resign {fqrn}"
    if listed is None:
        yield f"there is no whitelist, so no client believes anything: {resign}"
    elif listed.has_expired(now):
        yield f"the whitelist has expired on {listed.expires:%Y-%m-%d}, so no client goes on believing: {resign}"
    elif listed.expires - now < SOON:
        yield f"the whitelist ends in {(listed.expires - now).days} days, on {listed.expires:%Y-%m-%d}: {resign}"


def _troubles(places: RepositoryPlaces, listed: Whitelist | None) -> Iterator[str]:
    keys = places.keys
    for path in (keys.public, keys.signing, keys.certificate):
        if not path.exists():
            yield f"{path} is missing: swrepo server keys restore, from a backup"
    for path in (keys.master, keys.signing):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield f"others than its owner can use {path}: chmod 400 {path}"
    try:
        yield from _mismatches(places, listed)
    except PermissionError as error:
        yield f"{error.filename} cannot be read by this user, so it was not looked at"
    except (SwrepoError, FileNotFoundError) as error:
        if not isinstance(error, (NotFound, FileNotFoundError)):
            yield f"a key file cannot be used: {error}"


def _mismatches(places: RepositoryPlaces, listed: Whitelist | None) -> Iterator[str]:
    keys = places.keys
    certificate = Certificate.parse(keys.certificate.read_bytes())
    if listed is not None and all(certificate.fingerprint(one.algorithm) != one for one in listed.fingerprints):
        yield f"the whitelist does not list the certificate: swrepo server resign {places.fqrn}"
    if keys.master.exists():
        master = SigningKey.load(keys.master.read_bytes()).public_key
        if master not in PublicKey.parse_all(keys.public.read_bytes()):
            yield f"{keys.master} does not belong to {keys.public}, which clients have"
    if SigningKey.load(keys.signing.read_bytes()).public_key != certificate.public_key:
        yield f"{keys.certificate} is not the certificate of {keys.signing}: swrepo server keys rotate, or restore"


def _mode(path: Path) -> str:
    try:
        return f"({stat.S_IMODE(os.stat(path).st_mode):04o})"
    except FileNotFoundError:
        return "(not here)"


def _public_fingerprints(path: Path) -> tuple[str, ...]:
    try:
        return tuple(f"SHA-256 {key.fingerprint}" for key in PublicKey.parse_all(path.read_bytes()))
    except (OSError, SwrepoError):
        return ()


def _certificate_fingerprints(places: RepositoryPlaces) -> tuple[str, ...]:
    try:
        algorithm = settings.load(places.server_conf).algorithm
        return (Certificate.parse(places.keys.certificate.read_bytes()).fingerprint(algorithm).text,)
    except (OSError, SwrepoError):
        return ()
