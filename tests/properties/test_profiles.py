"""Profiles, packs, bundles and traces: any bytes give a value or FormatError; what is written is read back."""

from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import FormatError
from swrepo.format import bundle, opening, pack, profile
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.opening import Opening
from swrepo.format.paths import normalise
from swrepo.format.profile import NotedCatalog, NotedChunk, Profile, ProfileFile
from swrepo.objects import codec
from swrepo.objects.packs import PackedObjects
from swrepo.objects.store import Want

names = st.binary(min_size=1, max_size=8).filter(lambda name: b"/" not in name and b"\0" not in name)
paths = st.lists(names.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=4).map(
    lambda parts: b"".join(b"/" + part for part in parts)
)
ids = st.builds(ObjectId, st.sampled_from(Algorithm), st.binary(min_size=20, max_size=20))


def of(kind: Kind) -> st.SearchStrategy[ObjectId]:
    return ids.map(lambda name: name.with_kind(kind))


numbers = st.integers(0, 2**40)
files = st.builds(
    ProfileFile,
    path=paths,
    object=st.none() | ids,
    size=numbers,
    pack=st.none() | st.integers(0, 2),
    compression=st.sampled_from(Compression),
    chunks=st.lists(
        numbers.map(NotedChunk) | st.builds(NotedChunk, numbers, numbers, of(Kind.PARTIAL)), max_size=3
    ).map(tuple),
)
profiles = st.builds(
    Profile,
    triggers=st.lists(paths, min_size=1, max_size=3).map(tuple),
    files=st.lists(files, max_size=6).map(tuple),
    packs=st.just(3),
    catalogs=st.lists(
        paths.map(NotedCatalog) | st.builds(NotedCatalog, paths, of(Kind.CATALOG), numbers), max_size=3
    ).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
contents = st.lists(st.binary(max_size=300), unique=True, max_size=6)


@given(profiles)
def test_a_profile_is_read_as_it_was_written(written: Profile) -> None:
    assert profile.parse(profile.encode(written)) == written


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_profile_a_bundle_or_an_error(data: bytes) -> None:
    with suppress(FormatError):
        profile.parse(data)
    with suppress(FormatError):
        assert all(path == normalise(path) for path in bundle.parse(data, b"/dir"))


@given(
    st.dictionaries(st.sampled_from(["profile", "triggers", "files", "packs", "catalogs"]), json_values),
    st.lists(json_values, max_size=3),
)
def test_a_profile_of_strange_values_is_one_or_an_error(document: dict[str, Any], rows: list[Any]) -> None:
    for changed in ({**document, "profile": 1}, {"profile": 1, "triggers": ["/a"], "files": rows, **document}):
        with suppress(FormatError):
            found = profile.parse(json.dumps(changed).encode())
            assert all(b".." not in file.path.split(b"/") for file in found.files)


@given(st.lists(st.text(max_size=20) | paths.map(lambda path: path.decode("utf-8", "surrogateescape")), max_size=5))
def test_a_bundle_lists_only_paths_inside_the_repository(listed: list[str]) -> None:
    document = {"name": "CVMFS_BUNDLE", "version": "1.0.0", "encoding": "UTF-8", "dependencies": listed}
    for path in bundle.parse(b"# a comment\n" + json.dumps(document).encode(), b"/dir"):
        assert path == normalise(path) != b""


@given(st.builds(Opening, names.map(repr), paths, st.floats(0, 1e6), st.integers(0, 1 << 22), st.none() | numbers))
def test_a_trace_is_read_as_it_was_written(written: Opening) -> None:
    (found,) = opening.parse([opening.encode(written)])
    assert found._replace(time=0.0) == written._replace(time=0.0)


@given(st.text(max_size=60) | json_values.map(json.dumps))
def test_any_line_is_of_a_trace_or_an_error(line: str) -> None:
    with suppress(FormatError):
        list(opening.parse([line]))


def packed(plain: list[bytes]) -> tuple[bytes, list[Want]]:
    stored = [codec.encode(data, Compression.ZLIB) for data in plain]
    objects = [(ObjectId.of(data), len(before), data) for data, before in zip(stored, plain, strict=True)]
    return pack.encode(objects), [Want(name, size=size) for name, size, _ in objects]


class OnePack:
    """A source that has one object, whatever it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def fetch(self, _want: Want, out: BytesIO) -> None:
        out.write(self.data)


def unpack(data: bytes, wants: list[Want]) -> tuple[dict[ObjectId, bytes], list[Want]]:
    found: dict[ObjectId, bytes] = {}
    source = PackedObjects(OnePack(data), [Want(ObjectId.of(data), size=len(data))])  # type: ignore[arg-type]
    left = source.fetch_many(wants, lambda want, plain: found.__setitem__(want.id, plain))
    return found, left


@given(contents)
def test_what_was_packed_comes_out(plain: list[bytes]) -> None:
    data, wants = packed(plain)
    found, left = unpack(data, wants)
    assert not left
    assert [found[want.id] for want in wants] == plain
    assert [row.id for row in pack.table(data)] == [want.id for want in wants]


@given(contents.filter(bool), st.data())
def test_a_pack_that_was_changed_gives_the_right_bytes_or_none(plain: list[bytes], draw: st.DataObject) -> None:
    data, wants = packed(plain)
    kind = draw.draw(st.sampled_from(["flip", "cut", "insert"]))
    where = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    if kind == "flip":
        changed[where] ^= 1 << draw.draw(st.integers(0, 7))
    elif kind == "cut":
        del changed[where:]
    else:
        changed[where:where] = draw.draw(st.binary(min_size=1, max_size=20))
    found, left = unpack(bytes(changed), wants)
    right = {want.id: data for want, data in zip(wants, plain, strict=True)}
    assert all(right[name] == data for name, data in found.items())
    assert {want.id for want in left} | set(found) == set(right)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_pack_or_an_error(data: bytes) -> None:
    for some in (data, pack.MAGIC + data, pack.MAGIC + b"3\n" + data):
        try:
            rows = pack.table(some)
        except FormatError:
            continue
        assert sum(row.stored for row in rows) <= len(some)
        assert all(0 < row.offset <= len(some) - row.stored for row in rows)
