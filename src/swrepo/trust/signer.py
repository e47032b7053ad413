"""Private keys: making and signing. Never imported by a program that mounts; the linter holds that.

Source: format.md 3 to 5.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from swrepo.errors import FormatError
from swrepo.format import envelope
from swrepo.format.envelope import Envelope
from swrepo.format.object_id import Algorithm
from swrepo.trust.keys import PublicKey, sha1_digest_info

KEY_BITS = 2048
CERTIFICATE_DAYS = 365
"""What the original gives; no client looks at a certificate's dates."""

_EXPONENT = 65537
_LONGEST_NAME = 30
"""Of the repository's name in the certificate's: together they must fit into 64 characters."""


class MasterKey(Protocol):
    """What signs whitelists: a private key in a file, or one on a smart card."""

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, content: bytes) -> bytes: ...


class SigningKey:
    """An RSA private key: a repository's (`.key`) or its owner's (`.masterkey`). Safe from any thread."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls, bits: int = KEY_BITS) -> Self:
        """A new key."""
        return cls(rsa.generate_private_key(_EXPONENT, bits))

    @classmethod
    def load(cls, pem: bytes) -> Self:
        """Read the PEM form. FormatError where it is no RSA private key or has a pass phrase."""
        try:
            # Whether the numbers fit together takes 40 ms to find out; `sign` looks at what comes out instead.
            key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise FormatError(f"not a private key in PEM form without a pass phrase: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise FormatError("a private key that is not RSA; the format knows only RSA keys")
        return cls(key)

    @property
    def pem(self) -> bytes:
        """PKCS#8 in PEM form without a pass phrase: to be kept with mode 0400."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_key(self) -> PublicKey:
        key = self._key.public_key()
        return PublicKey.of(
            key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def sign(self, content: bytes) -> bytes:
        """`content` with PKCS#1 v1.5 padding (type 1) and nothing around it, under this key.

        FormatError where the key is damaged: a signature that does not fit its public key could give it away.
        """
        signature = self._key.sign(content, padding.PKCS1v15(), utils.NoDigestInfo())
        if not self.public_key.has_signed(content, signature):
            raise FormatError("the private key is damaged: its numbers do not fit together; restore it from a backup")
        return signature

    def make_certificate(self, fqrn: str, now: datetime, days: int = CERTIFICATE_DAYS) -> bytes:
        """A self-signed certificate of this key in PEM form: the `.crt` file and the object that manifests name."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{_shortened(fqrn)} CernVM-FS Release Managers")])
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=self._key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now,
            not_valid_after=now + timedelta(days=days),
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def sign_manifest(key: SigningKey, body: bytes, algorithm: Algorithm = Algorithm.SHA1) -> bytes:
    """`.cvmfspublished` from its text, signed by the repository's key. `algorithm` is the repository's."""
    text = envelope.hash_text(body, algorithm)
    return Envelope(body, text, key.sign(sha1_digest_info(text))).encode()


def sign_whitelist(master: MasterKey, body: bytes, algorithm: Algorithm = Algorithm.SHA1) -> bytes:
    """`.cvmfswhitelist` from its text, signed by the owner's master key."""
    text = envelope.hash_text(body, algorithm)
    return Envelope(body, text, master.sign(text.encode())).encode()


def _shortened(fqrn: str) -> str:
    return fqrn if len(fqrn) <= _LONGEST_NAME else fqrn[:_LONGEST_NAME] + "[...]"
