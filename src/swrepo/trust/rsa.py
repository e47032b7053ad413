"""RSA public keys: read from DER, written to it, and whether one of them made a signature (RFC 8017, 8.2.2; RFC 3279).

Looking at a signature takes public numbers only: one power, and a comparison of all of what comes out. The library that
can do much more takes longer to load than a whole chain of trust takes to be checked; it makes the signatures.
"""

from __future__ import annotations

from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.trust.der import BIT_STRING, INTEGER, SEQUENCE, Reader, element

_RSA = bytes.fromhex("06092a864886f70d010101")
_NULL = bytes.fromhex("0500")
_LONGEST, _LONGEST_EXPONENT = 16384, 64
"""Bits, as in OpenSSL: what is larger only costs time."""

_FEWEST_FILLING = 8


class RsaNumbers(NamedTuple):
    """A key. `parse_info` and `parse_key` make only sound ones."""

    modulus: int
    exponent: int


def parse_info(der: bytes) -> RsaNumbers:
    """Read a SubjectPublicKeyInfo. FormatError, also where it is of another kind of key."""
    info = Reader(Reader(der).only(SEQUENCE))
    if info.value(SEQUENCE) not in (_RSA + _NULL, _RSA):
        raise FormatError("a key that is not RSA; the format knows only RSA keys")
    bits = info.only(BIT_STRING)
    if bits[:1] != b"\0":
        raise FormatError("a public key that is no whole number of bytes")
    return parse_key(bits[1:])


def parse_key(der: bytes) -> RsaNumbers:
    """Read an RSAPublicKey: the two numbers by themselves. FormatError."""
    numbers = Reader(Reader(der).only(SEQUENCE))
    modulus, exponent = _number(numbers.value(INTEGER)), _number(numbers.only(INTEGER))
    if modulus.bit_length() > _LONGEST or exponent.bit_length() > _LONGEST_EXPONENT:
        raise FormatError(f"an RSA key of {modulus.bit_length()} bits; {_LONGEST} are the most")
    if not 3 <= exponent < modulus or not exponent & 1 or not modulus & 1:
        raise FormatError("an RSA key whose numbers cannot be a key's")
    return RsaNumbers(modulus, exponent)


def encode_info(key: RsaNumbers) -> bytes:
    """The SubjectPublicKeyInfo of a key."""
    numbers = element(SEQUENCE, b"".join(element(INTEGER, _digits(number)) for number in key))
    return element(SEQUENCE, element(SEQUENCE, _RSA + _NULL) + element(BIT_STRING, b"\0" + numbers))


def has_signed(key: RsaNumbers, content: bytes, signature: bytes) -> bool:
    """Whether `signature` is exactly `content` with PKCS#1 v1.5 padding (type 1) under this key.

    What the signature must contain is made and compared whole: nothing in it is parsed, so nothing can be smuggled.
    """
    size = (key.modulus.bit_length() + 7) // 8
    filling = size - 3 - len(content)
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= key.modulus or filling < _FEWEST_FILLING:
        return False
    padded = b"\0\1" + b"\xff" * filling + b"\0" + content
    return pow(number, key.exponent, key.modulus).to_bytes(size, "big") == padded


def _number(digits: bytes) -> int:
    """A positive INTEGER in its one form."""
    if not digits or digits[0] & 0x80 or (digits[0] == 0 and not digits[1:2] >= b"\x80"):
        raise FormatError("an RSA key with a number that is negative, or longer than it has to be")
    return int.from_bytes(digits, "big")


def _digits(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")
