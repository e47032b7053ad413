"""Any bytes into a parser of documents give a value or FormatError; what is written is read back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import FormatError
from swrepo.format import blacklist, breadcrumb, envelope, manifest, paths, servermeta, variant, whitelist, xattr
from swrepo.format.breadcrumb import Breadcrumb
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.whitelist import Fingerprint, Whitelist

digests = st.binary(min_size=20, max_size=20)
algorithms = st.sampled_from(Algorithm)
u64 = st.integers(0, 2**64 - 1)
names = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z0-9]{1,9}){0,3}", fullmatch=True)


def ids(kind: Kind) -> st.SearchStrategy[ObjectId]:
    return st.builds(ObjectId, algorithms, digests, st.just(kind))


manifests = st.builds(
    Manifest,
    root_catalog=ids(Kind.CATALOG),
    revision=u64,
    ttl=u64,
    root_size=st.none() | u64,
    garbage_collectable=st.booleans(),
    alt_catalog_path=st.booleans(),
    fqrn=st.none() | names,
    certificate=st.none() | ids(Kind.CERTIFICATE),
    history=st.none() | ids(Kind.HISTORY),
    timestamp=st.none() | u64,
    metainfo=st.none() | ids(Kind.METAINFO),
    reflog=st.none() | ids(Kind.FILE),
)
seconds = st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
fingerprints = st.builds(Fingerprint, algorithms, digests)
whitelists = st.builds(Whitelist, seconds, seconds, names, st.lists(fingerprints, max_size=4).map(tuple))
attributes = st.dictionaries(st.binary(min_size=1, max_size=255), st.binary(max_size=255), max_size=20)


@given(manifests)
def test_a_manifest_is_read_as_it_was_written(written: Manifest) -> None:
    assert manifest.parse(written.encode()) == written


@given(whitelists)
def test_a_whitelist_is_read_as_it_was_written(written: Whitelist) -> None:
    assert whitelist.parse(written.encode()) == written


@given(st.binary().map(lambda text: text.replace(b"\n--\n", b"") + b"\n"), algorithms, st.binary())
def test_an_envelope_is_read_as_it_was_written(body: bytes, algorithm: Algorithm, signature: bytes) -> None:
    written = envelope.Envelope(body, envelope.hash_text(body, algorithm), signature)
    if b"\n--\n" not in body and not body.startswith(b"--\n"):
        assert envelope.split(written.encode()) == written
        assert written.matches_own_hash


@given(st.builds(Breadcrumb, ids(Kind.CATALOG), u64, u64))
def test_a_breadcrumb_is_read_as_it_was_written(written: Breadcrumb) -> None:
    assert Breadcrumb.parse(written.text) == written


@given(attributes)
def test_attributes_are_read_as_they_were_written(written: dict[bytes, bytes]) -> None:
    assert xattr.decode(xattr.encode(written)) == written


def text_of(parser: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda raw: parser(raw.decode("utf-8", "surrogateescape"))


PARSERS: dict[str, Callable[[bytes], Any]] = {
    "manifest": manifest.parse,
    "whitelist": whitelist.parse,
    "envelope": envelope.split,
    "xattr": xattr.decode,
    "servermeta": servermeta.parse,
    "path": paths.normalise,
    "blacklist": text_of(blacklist.parse),
    "breadcrumb": text_of(breadcrumb.Breadcrumb.parse),
    "object name": text_of(ObjectId.parse),
    "fingerprint": text_of(Fingerprint.parse),
}
SAMPLES = st.sampled_from(
    [
        b"C" + b"0" * 40 + b"\nRd41d8cd98f00b204e9800998ecf8427e\nD240\nS1\n",
        b"20261122123015\nE20261222123015\nNa.example.org\n",
        b"Nx\n--\n" + b"0" * 40 + b"\nsignature",
        b"\x01\x02\x01\x00a\x01\x00b",
        b'{"repositories":[{"name":"a","url":"b"}]}',
        b"0" * 40 + b"T1R2",
        b"<a 1\n",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good document with a piece replaced."""
    good = draw(SAMPLES)
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, len(good)))
    return good[:start] + draw(st.binary(max_size=8)) + good[end:]


@pytest.mark.parametrize("name", PARSERS)
@given(raw=st.binary() | damaged())
def test_any_bytes_give_a_value_or_a_format_error(name: str, raw: bytes) -> None:
    with suppress(FormatError):
        PARSERS[name](raw)


@given(st.binary(max_size=50) | st.from_regex(rb"(\$|\(|\)|:-|A|B){0,20}"), st.dictionaries(names, names))
def test_any_symlink_target_can_be_expanded(target: bytes, environment: dict[str, str]) -> None:
    variant.expand(target, environment)


@given(st.binary(max_size=60))
def test_a_path_that_is_in_the_repositorys_form_stays_as_it_is(typed: bytes) -> None:
    try:
        path = paths.normalise(typed)
    except FormatError:
        return
    assert paths.normalise(path) == path
    assert path == paths.ROOT or (path.startswith(b"/") and not path.endswith(b"/"))
