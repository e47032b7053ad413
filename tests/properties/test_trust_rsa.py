"""trust.rsa reads, writes and believes what the library does, and nothing else."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import assume, given
from hypothesis import strategies as st

from swrepo.errors import FormatError
from swrepo.trust.keys import PublicKey
from swrepo.trust.rsa import RsaNumbers, encode_info, has_signed, parse_info, parse_key
from tests.simulator import MASTER, REPOSITORY, key

PRIVATE = key(REPOSITORY)._key
LIBRARY = PRIVATE.public_key()
OURS = parse_info(LIBRARY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
SIZE = LIBRARY.key_size // 8
LONGEST = SIZE - 11

moduli = st.integers(0, (1 << 4096) - 1).map(lambda number: number | 1 << 60 | 1)
exponents = st.integers(1, (1 << 32) - 1).map(lambda number: 2 * number + 1)
contents = st.binary(max_size=LONGEST)


def believed(content: bytes, signature: bytes) -> bool:
    """What the library says."""
    try:
        return LIBRARY.recover_data_from_signature(signature, padding.PKCS1v15(), utils.NoDigestInfo()) == content
    except (InvalidSignature, ValueError):
        return False


def signed(content: bytes) -> bytes:
    return PRIVATE.sign(content, padding.PKCS1v15(), utils.NoDigestInfo())


def padded(content: bytes) -> bytes:
    return b"\0\1" + b"\xff" * (SIZE - 3 - len(content)) + b"\0" + content


def private_power(block: bytes) -> bytes:
    """What the owner of the key would sign if they were careless about what it is."""
    private = PRIVATE.private_numbers()
    return pow(int.from_bytes(block), private.d, OURS.modulus).to_bytes(SIZE)


@given(moduli, exponents)
def test_a_key_is_written_and_read_as_the_library_does(modulus: int, exponent: int) -> None:
    numbers = RsaNumbers(modulus, exponent)
    theirs = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    info = theirs.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert encode_info(numbers) == info
    assert parse_info(info) == numbers
    assert parse_key(theirs.public_bytes(Encoding.DER, PublicFormat.PKCS1)) == numbers
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        found = PublicKey.parse(theirs.public_bytes(Encoding.PEM, form))
        assert found == PublicKey(numbers)
        assert found.pem == theirs.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@given(st.data())
def test_a_key_that_was_changed_is_refused_or_the_one_that_the_library_reads(data: st.DataObject) -> None:
    changed = bytearray(encode_info(OURS))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = parse_info(bytes(changed))
    except FormatError:
        return
    numbers = load_der_public_key(bytes(changed)).public_numbers()
    assert found == (numbers.n, numbers.e)


@given(st.binary(max_size=400), st.data())
def test_any_bytes_and_keys_that_are_cut_off_are_no_key(noise: bytes, data: st.DataObject) -> None:
    whole = encode_info(OURS)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for text in (noise, cut, whole + noise[:1], whole + b"\0"):
        if text != whole:
            with pytest.raises(FormatError):
                parse_info(text)


@given(contents)
def test_what_the_key_has_signed_is_believed_and_nothing_else(content: bytes) -> None:
    signature = signed(content)
    assert has_signed(OURS, content, signature)
    assert not has_signed(OURS, content + b"\0", signature)
    assert not has_signed(OURS, content, signature[:-1])
    assert not has_signed(OURS, content, b"\0" + signature)
    assert not has_signed(OURS, content, (int.from_bytes(signature) + OURS.modulus).to_bytes(SIZE + 1)[-SIZE:])
    assert not key(MASTER).public_key.has_signed(content, signature)


@given(contents, st.data())
def test_a_signature_that_was_changed_is_believed_by_nobody(content: bytes, data: st.DataObject) -> None:
    signature = bytearray(signed(content))
    signature[data.draw(st.integers(0, SIZE - 1))] ^= data.draw(st.integers(1, 255))
    assert not has_signed(OURS, content, bytes(signature))
    assert not believed(content, bytes(signature))


@given(st.binary(max_size=64), st.data())
def test_whatever_the_padding_is_the_library_and_we_say_the_same(content: bytes, data: st.DataObject) -> None:
    """Also where the owner signed something that only looks like the content: Bleichenbacher's forgeries of 2006."""
    block = bytearray(padded(content))
    for _ in range(data.draw(st.integers(1, 3))):
        block[data.draw(st.integers(0, SIZE - 1))] = data.draw(st.integers(0, 255))
    assume(int.from_bytes(block) < OURS.modulus)
    signature = private_power(bytes(block))
    assert has_signed(OURS, content, signature) == believed(content, signature) == (bytes(block) == padded(content))


def test_too_little_padding_is_refused() -> None:
    for filling in range(9):
        content = bytes(SIZE - 3 - filling)
        signature = private_power(b"\0\1" + b"\xff" * filling + b"\0" + content)
        assert has_signed(OURS, content, signature) == (filling == 8)


@pytest.mark.parametrize(
    "numbers",
    [(15, 1), (15, 4), (14, 3), (3, 3), (2**17000 + 1, 65537), (2**2048 + 1, 2**65 + 1)],
    ids=["exponent 1", "even exponent", "even modulus", "exponent as modulus", "huge modulus", "huge exponent"],
)
def test_numbers_that_are_no_key_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(FormatError, match="RSA key"):
        parse_info(encode_info(RsaNumbers(*numbers)))
