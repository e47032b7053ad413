"""The public key in an X.509 certificate: as much of DER as it takes to find and read it, and no more (RFC 5280, 4.1).

Nothing else in a certificate matters here: the whitelist vouches for the fingerprint of all of its bytes. The library
that knows all of X.509 takes longer to load than most programs of ours take for their work.
"""

from __future__ import annotations

import base64
import re

from swrepo.errors import FormatError

_BLOCK = re.compile(rb"-----BEGIN (?:X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END (?:X509 )?CERTIFICATE-----")
SEQUENCE, INTEGER, BIT_STRING = 0x30, 0x02, 0x03
_VERSION = 0xA0
_LONG = 0x80
_LONGEST_LENGTH = 4
"""Bytes of a length: no certificate comes near."""


def first_certificate(pem: bytes) -> bytes:
    """The DER form of the first certificate in a PEM text. FormatError where there is none."""
    match = _BLOCK.search(pem)
    if match is None:
        raise FormatError("no certificate in PEM form ('BEGIN CERTIFICATE')")
    try:
        return base64.b64decode(b"".join(match[1].split()), validate=True)
    except ValueError as error:
        raise FormatError(f"a certificate whose base64 is damaged: {error}") from error


def public_key_info(certificate: bytes) -> bytes:
    """The DER form of the key (SubjectPublicKeyInfo) in a certificate's. FormatError where that is none."""
    outer = Reader(Reader(certificate).only(SEQUENCE))
    signed = Reader(outer.value(SEQUENCE))
    outer.value(SEQUENCE)
    outer.only(BIT_STRING)
    if signed.tag == _VERSION:
        signed.value(_VERSION)
    signed.value(INTEGER)  # serial number
    for _ in range(4):  # signature algorithm, issuer, validity, subject
        signed.value(SEQUENCE)
    start = signed.at
    signed.value(SEQUENCE)
    return signed.data[start : signed.at]


def element(tag: int, value: bytes) -> bytes:
    """One element in its one form."""
    size = len(value)
    if size < _LONG:
        return bytes((tag, size)) + value
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG + len(digits))) + digits + value


class Reader:
    """Elements one after the other. `at` is where the next one begins."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def tag(self) -> int:
        """That of the next element; -1 at the end."""
        return self.data[self.at] if self.at < len(self.data) else -1

    def value(self, tag: int) -> bytes:
        """What the next element holds. FormatError unless it has this tag and is there as a whole."""
        if self.tag != tag:
            raise FormatError(f"no DER of this kind: 0x{tag:02x} is expected at byte {self.at}")
        size, start = self._length(self.at + 1)
        if size > len(self.data) - start:
            raise FormatError("DER that is cut off")
        self.at = start + size
        return self.data[start : self.at]

    def only(self, tag: int) -> bytes:
        """The same, of the last element."""
        found = self.value(tag)
        if self.at != len(self.data):
            raise FormatError("DER with something behind its end")
        return found

    def _length(self, at: int) -> tuple[int, int]:
        """The length that is written at `at`, and where what it counts begins."""
        first = self.data[at] if at < len(self.data) else _LONG
        if first < _LONG:
            return first, at + 1
        count = first - _LONG
        digits = self.data[at + 1 : at + 1 + count]
        size = int.from_bytes(digits, "big")
        if not 0 < count == len(digits) <= _LONGEST_LENGTH or size < _LONG or digits[0] == 0:
            raise FormatError("a length that DER does not allow")
        return size, at + 1 + count
