"""Public keys and certificates as values; the border to the `cryptography` library on the verifying side.

Source: format.md 3 to 5.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from swrepo.errors import CorruptCertificate, FormatError
from swrepo.format.object_id import Algorithm
from swrepo.format.whitelist import Fingerprint
from swrepo.trust.der import first_certificate, public_key_info

_SHA1_DIGEST_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
"""DER of DigestInfo up to the digest itself, for SHA-1 (RFC 8017, 9.2, note 1)."""

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PUBLIC KEY)-----.*?-----END \1-----", re.DOTALL)


def sha1_digest_info(text: str) -> bytes:
    """What a manifest's signature contains for its hash line `text`: RSASSA-PKCS1-v1_5 always with SHA-1."""
    return _SHA1_DIGEST_INFO + hashlib.sha1(text.encode(), usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA public key. Two keys are equal when their numbers are."""

    _numbers: rsa.RSAPublicNumbers

    @classmethod
    def parse(cls, pem: bytes) -> PublicKey:
        """Read one PEM block (`BEGIN PUBLIC KEY`). FormatError where it is none, or is not RSA."""
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise FormatError(f"not a public key in PEM form: {error}") from error
        return cls.of(key)

    @classmethod
    def parse_all(cls, pem: bytes) -> tuple[PublicKey, ...]:
        """Read every key of a file. FormatError where there is none."""
        blocks = [match[0] + b"\n" for match in _KEY_BLOCK.finditer(pem)]
        if not blocks:
            raise FormatError("no public key in PEM form ('BEGIN PUBLIC KEY') in this file")
        return tuple(cls.parse(block) for block in blocks)

    @classmethod
    def of(cls, key: object) -> PublicKey:
        """Wrap a key of the library. FormatError unless it is RSA."""
        if not isinstance(key, rsa.RSAPublicKey):
            raise FormatError("a key that is not RSA; the format knows only RSA keys")
        return cls(key.public_numbers())

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM form: the `.pub` file."""
        return self._numbers.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form in hexadecimal: `openssl pkey -pubin -outform DER | sha256sum` says the same."""
        der = self._numbers.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(der).hexdigest()

    def has_signed(self, content: bytes, signature: bytes) -> bool:
        """Whether `signature` is exactly `content` with PKCS#1 v1.5 padding (type 1) under this key.

        The padded content is recovered and compared whole: nothing in it is parsed, so nothing in it can be smuggled.
        """
        try:
            key = self._numbers.public_key()
            recovered = key.recover_data_from_signature(signature, padding.PKCS1v15(), utils.NoDigestInfo())
        except (InvalidSignature, ValueError):
            return False
        return recovered == content


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
            return cls(der, PublicKey.of(serialization.load_der_public_key(public_key_info(der))))
        except (ValueError, UnsupportedAlgorithm, FormatError) as error:
            raise CorruptCertificate(f"the repository's certificate cannot be read: {error}") from error

    def fingerprint(self, algorithm: Algorithm) -> Fingerprint:
        """Hash of the DER form, as whitelists and blacklists list it."""
        return Fingerprint(algorithm, algorithm.digest(self.der))
