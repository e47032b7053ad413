"""The four key files of a repository: made, imported, read. Source: format.md 4 and 5.

Whitelists are signed again in publish.renewal, keys replaced in publish.rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from swrepo.errors import NotFound, PermissionRefused, PublishError, UsageError
from swrepo.format.object_id import Algorithm
from swrepo.format.whitelist import Whitelist
from swrepo.publish.layout import KeyFiles
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import MasterKey, SigningKey, sign_whitelist
from swrepo.trust.smart_card import SmartCard

WHITELIST_DAYS = 30
SECRET, PUBLIC = 0o400, 0o444
"""Modes of private keys, and of what everybody may read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that make and sign a repository."""

    master: MasterKey
    signing: SigningKey
    certificate_pem: bytes

    def whitelist(self, fqrn: str, now: datetime, algorithm: Algorithm, days: int = WHITELIST_DAYS) -> bytes:
        """A signed whitelist that lists the certificate for so many days."""
        fingerprint = Certificate.parse(self.certificate_pem).fingerprint(algorithm)
        text = Whitelist(now, now + timedelta(days=days), fqrn, (fingerprint,)).encode()
        return sign_whitelist(self.master, text, algorithm)


def prepare(files: KeyFiles, fqrn: str, now: datetime, card: SmartCard | None = None) -> Keyring:
    """The keys in `files`, the missing ones made. What is there is never overwritten: it may be the only copy.

    The master key is the one on `card`, if that is given.
    """
    make_directory(files.master.parent)
    master: MasterKey = _key(files.master) if card is None else card
    origin = files.master if card is None else Path("the smart card")
    put(files.public, master.public_key.pem, PUBLIC, origin, "the public key")
    signing = _key(files.signing)
    if not files.certificate.exists():
        write_atomically(files.certificate, signing.make_certificate(fqrn, now), PUBLIC)
    certificate_pem = files.certificate.read_bytes()
    if Certificate.parse(certificate_pem).public_key != signing.public_key:
        raise PublishError(f"{files.certificate} is not the certificate of {files.signing}; move one of them away")
    return Keyring(master, signing, certificate_pem)


def import_keys(origin: KeyFiles, files: KeyFiles, *, with_master: bool = True) -> None:
    """Copy existing keys to their place; UsageError where one is missing, PublishError where another is there."""
    names = [*(["master"] if with_master else []), "public", "signing", "certificate"]
    pairs = [(getattr(origin, name), getattr(files, name)) for name in names]
    missing = [str(source) for source, _ in pairs if not source.exists()]
    if missing:
        raise UsageError(f"the keys directory lacks {', '.join(missing)}; without -k, new keys are made")
    make_directory(files.master.parent)
    for source, target in pairs:
        if source != target:
            mode = SECRET if target in (files.master, files.signing) else PUBLIC
            put(target, source.read_bytes(), mode, source, "a key")


def master_key(
    files: KeyFiles, elsewhere: Path | None = None, card: SmartCard | None = None, *, only_card: bool = False
) -> MasterKey:
    """The owner's key, from `elsewhere` (a file, or a directory of keys) if that is given.

    Where there is no file, or it is not wanted (`only_card`), the one on `card`.
    NotFound where it is not, PublishError where it is not the one whose public part clients have.
    """
    path = elsewhere or files.master
    if path.is_dir():
        path /= files.master.name
    if card is not None and (only_card or (elsewhere is None and not files.master.exists())):
        return _on_card(card, files)
    try:
        key = SigningKey.load(path.read_bytes())
    except FileNotFoundError as error:
        raise NotFound(
            f"the master key {path} is missing, and only it can sign a whitelist; if it is kept elsewhere, say where: "
            "-k DIR or FILE"
        ) from error
    except PermissionError as error:
        raise PermissionRefused(f"cannot read the master key {path}; run as its owner") from error
    if files.public.exists() and key.public_key not in PublicKey.parse_all(files.public.read_bytes()):
        raise PublishError(f"the master key {path} does not belong to {files.public}, which clients have")
    return key


def _on_card(card: SmartCard, files: KeyFiles) -> SmartCard:
    try:
        key = card.public_key
    except NotFound as error:
        raise NotFound(
            f"the master key {files.master} is missing, and only it can sign a whitelist; if it is kept elsewhere, say "
            f"where: -k DIR or FILE. Nor is it on a smart card: {error}"
        ) from error
    if files.public.exists() and key not in PublicKey.parse_all(files.public.read_bytes()):
        raise PublishError(f"the master key on the smart card does not belong to {files.public}, which clients have")
    return card


def _key(path: Path) -> SigningKey:
    if not path.exists():
        write_atomically(path, SigningKey.generate().pem, SECRET)
    return SigningKey.load(path.read_bytes())


def put(path: Path, data: bytes, mode: int, origin: Path, what: str = "a copy") -> None:
    """Write a key file. PublishError where another one is there: it may be the only one."""
    if not path.exists():
        write_atomically(path, data, mode)
    elif path.read_bytes().split() != data.split():
        raise PublishError(f"{path} is there already and is not {what} of {origin}; move it away first")
