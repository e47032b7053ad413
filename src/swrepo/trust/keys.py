"""Public keys and certificates as values.

Source: format.md 3 to 5.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from swrepo.errors import CorruptCertificate, FormatError
from swrepo.format.object_id import Algorithm
from swrepo.format.whitelist import Fingerprint
from swrepo.trust.der import first_certificate, public_key_info
from swrepo.trust.rsa import RsaNumbers, encode_info, has_signed, parse_info, parse_key

_SHA1_DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
"""DER of DigestInfo up to the digest itself, for SHA-1 (RFC 8017, 9.2, note 1)."""

_KEY_BLOCK = re.compile(rb"-----BEGIN ((?:RSA )?PUBLIC KEY)-----(.*?)-----END \1-----", re.DOTALL)
_INFO = b"PUBLIC KEY"
_COLUMNS = 64


def sha1_digest_info(text: str) -> bytes:
    """What a manifest's signature contains for its hash line `text`: RSASSA-PKCS1-v1_5 always with SHA-1."""
    return _SHA1_DIGEST_INFO + hashlib.sha1(text.encode(), usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA public key. Two keys are equal when their numbers are."""

    _numbers: RsaNumbers

    @classmethod
    def parse(cls, pem: bytes) -> PublicKey:
        """Read one PEM block (`BEGIN PUBLIC KEY`, `BEGIN RSA PUBLIC KEY`). FormatError where it is none, or not RSA."""
        match = _KEY_BLOCK.search(pem)
        try:
            if match is None:
                raise FormatError("no block of that name")
            der = base64.b64decode(b"".join(match[2].split()), validate=True)
            return cls(parse_info(der) if match[1] == _INFO else parse_key(der))
        except (ValueError, FormatError) as error:
            raise FormatError(f"not a public key in PEM form: {error}") from error

    @classmethod
    def parse_all(cls, pem: bytes) -> tuple[PublicKey, ...]:
        """Read every key of a file. FormatError where there is none."""
        blocks = [match[0] + b"\n" for match in _KEY_BLOCK.finditer(pem)]
        if not blocks:
            raise FormatError("no public key in PEM form ('BEGIN PUBLIC KEY') in this file")
        return tuple(cls.parse(block) for block in blocks)

    @classmethod
    def of(cls, info: bytes) -> PublicKey:
        """The key in a SubjectPublicKeyInfo in DER form. FormatError unless it is RSA."""
        return cls(parse_info(info))

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM form: the `.pub` file."""
        text = base64.b64encode(encode_info(self._numbers))
        lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
        return b"-----BEGIN PUBLIC KEY-----\n" + b"\n".join(lines) + b"\n-----END PUBLIC KEY-----\n"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form in hexadecimal: `openssl pkey -pubin -outform DER | sha256sum` says the same."""
        return hashlib.sha256(encode_info(self._numbers)).hexdigest()

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """Whether `signature` is exactly `content` with PKCS#1 v1.5 padding (type 1) under this key."""
        return has_signed(self._numbers, content, signature)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that carries a repository's public key; of all that it says only the key matters.

    Dates, issuer and self-signature are not looked at: the whitelist vouches for the fingerprint.
    """

    der: bytes
    public_key: PublicKey

    @classmethod
    def parse(cls, pem: bytes) -> Certificate:
        """Read the first certificate in `pem`. CorruptCertificate where there is none with an RSA key."""
        try:
            der = first_certificate(pem)
            return cls(der, PublicKey.of(public_key_info(der)))
        except FormatError as error:
            raise CorruptCertificate(f"the repository's certificate cannot be read: {error}") from error

    def fingerprint(self, algorithm: Algorithm) -> Fingerprint:
        """Hash of the DER form, as whitelists and blacklists list it."""
        return Fingerprint(algorithm, algorithm.digest(self.der))
