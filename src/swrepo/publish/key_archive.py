"""The key files of a repository as one file, to be kept elsewhere: a tar archive, encrypted if a pass phrase is given.

Encrypted, it is the line `SWREPO-KEYS-1`, 16 bytes of salt and 12 of nonce, and the archive under AES-256-GCM with the
key that scrypt (N=2^15, r=8, p=1) makes of the pass phrase and the salt.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from swrepo.errors import FormatError, NotFound, PublishError, UntrustedSignature
from swrepo.objects.directory import writing
from swrepo.publish.keyring import PUBLIC, SECRET
from swrepo.publish.layout import KeyFiles
from swrepo.system.atomic import make_directory, write_atomically
from swrepo.trust.keys import Certificate, PublicKey
from swrepo.trust.signer import SigningKey

_MAGIC = b"SWREPO-KEYS-1\n"
_SALT, _NONCE = 16, 12
_LARGEST = 1 << 20
_EPOCH = 0

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class KeyArchive:
    """Contents of the key files, by name; what was not there is left out."""

    fqrn: str
    files: dict[str, bytes]

    @classmethod
    def of(cls, keys: KeyFiles, fqrn: str, *, without_master: bool = False) -> KeyArchive:
        """Read the files. NotFound where one is missing that cannot be elsewhere on purpose."""
        found = {}
        for path in _paths(keys):
            if path == keys.master and (without_master or not path.exists()):
                continue
            try:
                found[path.name] = path.read_bytes()
            except FileNotFoundError as error:
                raise NotFound(f"the key file {path} is missing, so this would be no whole backup") from error
        return cls(fqrn, found)

    @property
    def has_master(self) -> bool:
        return f"{self.fqrn}.masterkey" in self.files

    def encode(self, passphrase: bytes | None, random: Random = os.urandom) -> bytes:
        """The file's bytes."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in sorted(self.files.items()):
                entry = tarfile.TarInfo(f"{self.fqrn}/{name}")
                entry.size, entry.mtime, entry.mode = len(data), _EPOCH, _mode(name)
                tar.addfile(entry, io.BytesIO(data))
        if passphrase is None:
            return out.getvalue()
        salt, nonce = random(_SALT), random(_NONCE)
        sealed = AESGCM(_derived(passphrase, salt)).encrypt(nonce, out.getvalue(), _MAGIC)
        return _MAGIC + salt + nonce + sealed

    @classmethod
    def decode(cls, raw: bytes, passphrase: Callable[[], bytes]) -> KeyArchive:
        """Read it back; `passphrase` is asked where it is encrypted.

        FormatError where it is no such file, UntrustedSignature where the pass phrase is wrong or a byte was changed.
        """
        if raw.startswith(_MAGIC):
            raw = _opened(raw, passphrase())
        files: dict[str, bytes] = {}
        fqrn = ""
        try:
            with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
                for entry in tar:
                    fqrn, _, name = entry.name.partition("/")
                    data = tar.extractfile(entry)
                    if data is None or "/" in name or not name.startswith(f"{fqrn}.") or entry.size > _LARGEST:
                        raise FormatError(f"not a backup of keys: it holds {entry.name!r}")
                    files[name] = data.read()
        except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
            raise FormatError(f"not a backup of keys: {error}") from error
        if not files:
            raise FormatError("not a backup of keys: it is empty")
        return cls(fqrn, files)

    def restore(self, keys: KeyFiles) -> list[Path]:
        """Put back what is missing; which files. PublishError, with nothing written, where another one is there."""
        wanted = {path: self.files[path.name] for path in _paths(keys) if path.name in self.files}
        self._check(keys)
        for path, data in wanted.items():
            if path.exists() and path.read_bytes() != data:
                raise PublishError(f"{path} is there already and is another one than in the backup; move it away first")
        with writing(keys.public):
            make_directory(keys.public.parent)
            missing = [path for path in wanted if not path.exists()]
            for path in missing:
                write_atomically(path, wanted[path], _mode(path.name))
        return missing

    def _check(self, keys: KeyFiles) -> None:
        """They are keys, and belong together."""
        public = PublicKey.parse_all(self.files.get(keys.public.name, b""))
        if (master := self.files.get(keys.master.name)) is not None and SigningKey.load(
            master
        ).public_key not in public:
            raise PublishError("the master key of this backup does not belong to its public key")
        certificate = Certificate.parse(self.files.get(keys.certificate.name, b""))
        if SigningKey.load(self.files.get(keys.signing.name, b"")).public_key != certificate.public_key:
            raise PublishError("the repository's key of this backup does not belong to its certificate")


def write_new(path: Path, data: bytes) -> None:
    """A file that only its owner can read. PublishError where there is one of that name."""
    if path.exists():
        raise PublishError(f"{path} exists already, and may be the only backup of other keys; choose another name")
    write_atomically(path, data, SECRET)


def _paths(keys: KeyFiles) -> tuple[Path, ...]:
    return keys.master, keys.public, keys.signing, keys.certificate


def _mode(name: str) -> int:
    return SECRET if name.endswith((".key", ".masterkey")) else PUBLIC


def _derived(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase)


def _opened(raw: bytes, passphrase: bytes) -> bytes:
    start = len(_MAGIC)
    salt, nonce = raw[start : start + _SALT], raw[start + _SALT : start + _SALT + _NONCE]
    if len(raw) < start + _SALT + _NONCE:
        raise FormatError("not a backup of keys: it is cut short")
    try:
        return AESGCM(_derived(passphrase, salt)).decrypt(nonce, raw[start + _SALT + _NONCE :], _MAGIC)
    except InvalidTag as error:
        raise UntrustedSignature("the pass phrase is not that of this backup, or the file was changed") from error
