"""trust.der finds the key that the library finds, and whatever else it is given is refused in one way."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import CorruptCertificate, FormatError
from swrepo.trust.der import public_key_info
from swrepo.trust.keys import Certificate
from tests.simulator import NOW, REPOSITORY, key


@cache
def certificate() -> bytes:
    return base64.b64decode(b"".join(key(REPOSITORY).make_certificate("sw.example.org", NOW).splitlines()[1:-1]))


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_the_key_is_the_one_that_the_library_finds():
    found = x509.load_der_x509_certificate(certificate()).public_key()
    assert public_key_info(certificate()) == found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert Certificate.parse(b"text before\r\n" + pem(certificate()).replace(b"\n", b"\r\n")).der == certificate()


@given(st.text(min_size=1, max_size=30).filter(str.isprintable), st.integers(1, 1 << 150))
def test_whatever_the_certificate_says_besides(name: str, serial: int):
    signer = key(REPOSITORY)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(
        subject, subject, signer._key.public_key(), serial, datetime(1999, 1, 1, tzinfo=UTC), NOW
    ).sign(signer._key, hashes.SHA256())
    assert Certificate.parse(made.public_bytes(Encoding.PEM)).public_key == signer.public_key


@given(st.binary(max_size=200))
def test_any_bytes_are_no_certificate(data: bytes):
    for text in (data, pem(data)):
        with pytest.raises(CorruptCertificate):
            Certificate.parse(text)


@given(st.data())
def test_a_certificate_that_is_cut_off_or_goes_on_is_refused(data: st.DataObject):
    whole = certificate()
    length = data.draw(st.integers(0, len(whole) - 1))
    for text in (whole[:length], whole + whole[: length + 1]):
        with pytest.raises(FormatError):
            public_key_info(text)


@given(st.data())
def test_with_any_byte_changed_it_has_a_key_or_is_refused(data: st.DataObject):
    changed = bytearray(certificate())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        Certificate.parse(pem(bytes(changed)))
    except CorruptCertificate as error:
        assert str(error)
