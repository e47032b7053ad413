"""Names of objects, paths, entries, symlinks and attributes."""

from __future__ import annotations

import hashlib
import stat
from typing import Any

import pytest

from swrepo.errors import FormatError
from swrepo.format import object_id, paths, variant, xattr
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk, Dirent, Flag, content_flags
from swrepo.format.object_id import Algorithm, Kind, ObjectId


@pytest.mark.parametrize(
    ("algorithm", "data", "text"),
    [
        (Algorithm.SHA1, b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        (Algorithm.RIPEMD160, b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31-rmd160"),
        (Algorithm.RIPEMD160, b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc-rmd160"),
        (Algorithm.SHAKE128, b"", "7f9c2ba4e88f827d616045507605853ed73b8093-shake128"),
    ],
)
def test_an_object_is_named_by_the_hash_of_its_bytes(algorithm: Algorithm, data: bytes, text: str) -> None:
    name = ObjectId.of(data, algorithm)
    assert name.text == text
    assert ObjectId.parse(text) == name


def test_ripemd160_works_where_openssl_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, **_: Any) -> None:
        message = f"unsupported hash type {name}"
        raise ValueError(message)

    monkeypatch.setattr(hashlib, "new", without)
    object_id._ripemd160.cache_clear()
    try:
        assert ObjectId.of(b"abc", Algorithm.RIPEMD160).digest.hex() == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"
    finally:
        object_id._ripemd160.cache_clear()


def test_an_objects_path_ends_with_algorithm_and_kind_but_not_in_the_cache() -> None:
    name = ObjectId(Algorithm.SHAKE128, b"\x0a\x1b" + bytes(18), Kind.CATALOG)
    assert name.path == "data/0a/1b" + "0" * 36 + "-shake128C"
    assert name.cache_path == "0a/1b" + "0" * 36 + "-shake128"
    assert str(name.with_kind(Kind.PARTIAL)).endswith("-shake128P")


@pytest.mark.parametrize("text", ["", "00", "A" * 40, "0" * 41, "0" * 40 + "-md5", "0" * 40 + "C", "0" * 40 + "\n"])
def test_what_is_no_object_name_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        ObjectId.parse(text)


def test_a_digest_of_another_length_is_refused() -> None:
    with pytest.raises(FormatError):
        ObjectId(Algorithm.SHA1, bytes(16))


def test_the_root_path_has_the_key_of_the_empty_string() -> None:
    first, second = paths.path_key(paths.ROOT)
    packed = first.to_bytes(8, "little", signed=True) + second.to_bytes(8, "little", signed=True)
    assert packed.hex() == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("typed", "path"), [("/", b""), ("", b""), ("a/b/", b"/a/b"), ("/a//./b", b"/a/b"), (b"/\xff", b"/\xff")]
)
def test_a_path_is_taken_as_people_type_it(typed: str | bytes, path: bytes) -> None:
    assert paths.normalise(typed) == path


@pytest.mark.parametrize("typed", ["..", "/a/../b", "a\0b"])
def test_a_path_that_leads_out_is_refused(typed: str) -> None:
    with pytest.raises(FormatError):
        paths.normalise(typed)


def test_paths_are_taken_apart_and_put_together() -> None:
    assert paths.parent(b"/a/b") == b"/a"
    assert paths.parent(b"/a") == paths.ROOT == paths.parent(paths.ROOT)
    assert paths.join(paths.parent(b"/a/b"), paths.basename(b"/a/b")) == b"/a/b"
    assert paths.ancestors(b"/a/b") == [b"", b"/a", b"/a/b"]
    assert paths.is_within(b"/a/b", b"/a")
    assert not paths.is_within(b"/ab", b"/a")


def entry(**changes: Any) -> Dirent:
    plain = Dirent(b"f", 0o100644, 3, 0, None, 0, 0, Flag.FILE, 1, b"", bytes(20), None)
    return plain._replace(**changes)


def test_an_entrys_flags_say_how_its_content_is_stored() -> None:
    flags = Flag.FILE | content_flags(Algorithm.SHAKE128, Compression.NONE)
    assert flags == 4 + 0x200 + 0x800
    found = entry(flags=int(flags))
    assert (found.algorithm, found.compression) == (Algorithm.SHAKE128, Compression.NONE)
    assert found.content == ObjectId(Algorithm.SHAKE128, bytes(20))
    assert found.chunk_id(Chunk(0, 3, bytes(20))).kind is Kind.PARTIAL


@pytest.mark.parametrize("flags", [4 + 0x300, 4 + 0x700])
def test_an_unknown_hash_algorithm_is_refused(flags: int) -> None:
    with pytest.raises(FormatError, match="hash algorithm"):
        _ = entry(flags=flags).algorithm


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(FormatError, match="compression"):
        _ = entry(flags=4 + 0x1000).compression


def test_hard_links_have_a_group_and_a_count() -> None:
    found = entry(hardlinks=(7 << 32) | 3)
    assert (found.hardlink_group, found.linkcount) == (7, 3)


def test_a_device_keeps_its_number_in_its_size() -> None:
    device = entry(mode=stat.S_IFCHR | 0o600, size=259, flags=int(Flag.FILE | Flag.SPECIAL), digest=None)
    assert (device.rdev, device.is_device, device.is_special, device.content) == (259, True, True, None)
    assert entry(size=259).rdev == 0


def test_a_special_file_of_an_old_catalog_is_known_by_its_mode() -> None:
    assert entry(mode=stat.S_IFIFO | 0o600).is_special
    assert not entry(mode=stat.S_IFLNK | 0o777, flags=int(Flag.FILE | Flag.SYMLINK)).is_special


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"plain", b"plain"),
        (b"$(SET)/lib", b"value/lib"),
        (b"$(UNSET)", b""),
        (b"$(UNSET:-default)", b"default"),
        (b"$(SET:-default)", b"value"),
        (b"$(UNSET:-$(SET))", b"$(SET)"),
        (b"$$(SET)", b"$value"),
        (b"${SET}", b"${SET}"),
        (b"$(SET", b"$(SET"),
        (b"$(UNSET-x)", b""),
        (b"$(SET)$(SET)", b"valuevalue"),
        (b"\xff$(SET)", b"\xffvalue"),
    ],
)
def test_a_variant_symlink_is_expanded_from_the_clients_environment(target: bytes, shown: bytes) -> None:
    assert variant.expand(target, {"SET": "value"}) == shown


def test_attributes_are_stored_as_the_original_stores_them() -> None:
    blob = xattr.encode({b"user.golden": b"value", b"trusted.golden": b"trusted"})
    assert blob == b"\x01\x02\x0e\x07trusted.goldentrusted\x0b\x05user.goldenvalue"
    assert xattr.decode(blob) == {b"user.golden": b"value", b"trusted.golden": b"trusted"}
    assert xattr.encode({}) is None
    assert xattr.decode(None) == {}


@pytest.mark.parametrize("attributes", [{b"n" * 256: b""}, {b"n": b"v" * 256}, {b"": b"v"}])
def test_an_attribute_that_does_not_fit_is_refused(attributes: dict[bytes, bytes]) -> None:
    with pytest.raises(FormatError):
        xattr.encode(attributes)


@pytest.mark.parametrize("blob", [b"\x02\x00", b"\x01", b"\x01\x01", b"\x01\x01\x05\x01abc", b"\x01\x02\x01\x00a"])
def test_a_malformed_attribute_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(FormatError):
        xattr.decode(blob)
