"""Keys and certificates: what is read, what is refused, and what a signature covers."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from swrepo.errors import CorruptCertificate, FormatError
from swrepo.format.object_id import Algorithm
from swrepo.trust.keys import Certificate, PublicKey, sha1_digest_info
from swrepo.trust.signer import SigningKey, sign_manifest, sign_whitelist
from tests.simulator import FQRN, MASTER, NOW, REPOSITORY, certificate_pem, key

EC_KEY = ec.generate_private_key(ec.SECP256R1())


def test_a_file_may_hold_several_keys_and_text_between_them() -> None:
    pems = [key(number).public_key.pem for number in (MASTER, REPOSITORY)]
    keys = PublicKey.parse_all(b"# ours\n" + pems[0] + b"\n# theirs\r\n" + pems[1].rstrip())
    assert keys == (key(MASTER).public_key, key(REPOSITORY).public_key)


@pytest.mark.parametrize(
    "pem", [b"", b"no key at all", b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_public_key_is_refused(pem: bytes) -> None:
    with pytest.raises(FormatError, match="public key in PEM form"):
        PublicKey.parse_all(pem)


def test_keys_that_are_not_rsa_are_refused() -> None:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pkcs8 = serialization.PrivateFormat.PKCS8
    pem = serialization.Encoding.PEM
    with pytest.raises(FormatError, match="not RSA"):
        PublicKey.parse_all(ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(pem, spki))
    with pytest.raises(FormatError, match="not RSA"):
        SigningKey.load(EC_KEY.private_bytes(pem, pkcs8, serialization.NoEncryption()))


def test_a_private_key_survives_its_file() -> None:
    signer = key(REPOSITORY)
    again = SigningKey.load(signer.pem)
    assert again.public_key == signer.public_key
    assert again.sign(b"text") == signer.sign(b"text")


def test_a_private_key_with_a_pass_phrase_is_refused_with_a_reason() -> None:
    encrypted = EC_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(FormatError, match="without a pass phrase"):
        SigningKey.load(encrypted)


def test_what_is_no_private_key_is_refused() -> None:
    with pytest.raises(FormatError, match="not a private key"):
        SigningKey.load(key(REPOSITORY).public_key.pem)


def test_a_signature_is_of_exactly_one_content() -> None:
    signature = key(REPOSITORY).sign(b"content")
    public = key(REPOSITORY).public_key
    assert public.has_signed(b"content", signature)
    assert not public.has_signed(b"conten", signature)
    assert not public.has_signed(b"content\0", signature)
    assert not key(MASTER).public_key.has_signed(b"content", signature)
    for wrong in (b"", signature[:-1], signature + b"\0", b"\0" + signature, bytes(256), b"\xff" * 256):
        assert not public.has_signed(b"content", wrong)


def test_a_manifest_s_signature_is_the_standard_one_with_sha_1() -> None:
    """RSASSA-PKCS1-v1_5 as every library has it, over the hash line."""
    raw = sign_manifest(key(REPOSITORY), b"text\n", Algorithm.SHAKE128)
    body, _, rest = raw.partition(b"--\n")
    hash_text, _, signature = rest.partition(b"\n")
    public = serialization.load_pem_public_key(key(REPOSITORY).public_key.pem)
    public.verify(signature, hash_text, padding.PKCS1v15(), hashes.SHA1())
    assert body == b"text\n"
    assert hash_text.endswith(b"-shake128")
    assert key(REPOSITORY).public_key.has_signed(sha1_digest_info(hash_text.decode()), signature)


def test_a_whitelist_s_signature_pads_the_hash_line_itself() -> None:
    raw = sign_whitelist(key(MASTER), b"text\n")
    signature = raw[-256:]
    numbers = serialization.load_pem_public_key(key(MASTER).public_key.pem).public_numbers()
    padded = pow(int.from_bytes(signature), numbers.e, numbers.n).to_bytes(256)
    assert padded == b"\0\1" + b"\xff" * (256 - 3 - 40) + b"\0" + raw.split(b"--\n")[1][:40]


def test_a_certificate_carries_the_key_and_a_name_that_fits() -> None:
    for fqrn in (FQRN, "a-very-long-name-of-a-repository.software.example.org"):
        pem = key(REPOSITORY).make_certificate(fqrn, NOW)
        assert Certificate.parse(pem).public_key == key(REPOSITORY).public_key
        (name,) = x509.load_pem_x509_certificate(pem).subject
        assert name.value.startswith(fqrn[:30])
        assert name.value.endswith(" CernVM-FS Release Managers")


def test_fingerprints_are_those_of_the_der_form() -> None:
    pem = certificate_pem(REPOSITORY, FQRN)
    expected = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1())
    assert Certificate.parse(pem).fingerprint(Algorithm.SHA1).text == expected.hex(":").upper()


def test_a_certificate_of_another_kind_of_key_is_refused() -> None:
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder(name, name, EC_KEY.public_key(), 1, NOW, NOW.replace(year=2030))
    pem = builder.sign(EC_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(CorruptCertificate, match="not RSA"):
        Certificate.parse(pem)


def test_a_damaged_private_key_signs_nothing() -> None:
    numbers = rsa.generate_private_key(65537, 1024).private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1 + 2, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(FormatError, match="damaged"):
        SigningKey(damaged).sign(b"text")
