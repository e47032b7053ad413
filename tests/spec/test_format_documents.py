"""The repository's documents: what is read from them, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from swrepo.errors import FormatError
from swrepo.format import blacklist, breadcrumb, envelope, manifest, servermeta, whitelist
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.wellknown import is_fqrn
from swrepo.format.whitelist import Fingerprint, Whitelist

ROOT = ObjectId.of(b"root", Algorithm.SHA1, Kind.CATALOG)
BODY = b"C" + ROOT.text.encode() + b"\nB4096\nRd41d8cd98f00b204e9800998ecf8427e\nD240\nS7\nGno\nAno\nNa.example.org\n"


def test_a_manifest_is_written_as_the_original_writes_it() -> None:
    assert manifest.parse(BODY).encode() == BODY


def test_a_manifest_may_have_its_lines_in_any_order_and_unknown_ones() -> None:
    shuffled = b"".join(sorted(BODY.splitlines(keepends=True))) + b"Zsomething\nQ\n"
    assert manifest.parse(shuffled) == manifest.parse(BODY)


@pytest.mark.parametrize("line", [b"C", b"R", b"D", b"S"])
def test_a_manifest_without_a_required_line_is_refused(line: bytes) -> None:
    kept = b"".join(found for found in BODY.splitlines(keepends=True) if not found.startswith(line))
    with pytest.raises(FormatError, match=line.decode()):
        manifest.parse(kept)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"S7", b"S-7"),
        (b"S7", b"S7x"),
        (b"S7", b"S"),
        (b"S7", b"S99999999999999999999"),
        (b"S7", "S\u0667".encode()),
        (b"Gno", b"Gmaybe"),
        (b"D240", b"D2 40"),
        (b"Rd41d", b"Rd41e"),
        (b"C", b"CX"),
        (b"Na.", b"N\xff."),
    ],
)
def test_a_manifest_with_a_malformed_line_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(FormatError):
        manifest.parse(BODY.replace(old, new, 1))


def test_an_envelope_ends_its_text_at_the_first_separator() -> None:
    text = b"Nfirst\n"
    raw = text + b"--\n" + envelope.hash_text(text, Algorithm.SHA1).encode() + b"\n\n--\nsignature"
    found = envelope.split(raw)
    assert (found.body, found.signature) == (text, b"\n--\nsignature")
    assert found.matches_own_hash
    assert found.encode() == raw


def test_an_envelope_knows_when_its_text_was_changed() -> None:
    text = envelope.hash_text(b"Nfirst\n", Algorithm.SHAKE128)
    assert not envelope.Envelope(b"Nsecond\n", text, b"").matches_own_hash


@pytest.mark.parametrize("raw", [b"", b"Nx\n", b"Nx\n--\n", b"Nx\n--\nabc\n", b"Nx\n--\n\xff\n", b"<html></html>\n"])
def test_an_envelope_without_its_parts_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        envelope.split(raw)


NOW = datetime(2026, 11, 22, 12, 30, 15, tzinfo=UTC)
FINGERPRINT = Fingerprint(Algorithm.SHAKE128, bytes(range(20)))


def test_a_whitelist_is_read_as_it_was_written() -> None:
    written = Whitelist(NOW, NOW + timedelta(days=30), "a.example.org", (FINGERPRINT,))
    assert whitelist.parse(written.encode(comment="a release manager")) == written


def test_a_whitelist_may_name_checks_that_we_do_not_make() -> None:
    body = b"20261122123015\nE20261222123015\nNa.example.org\nVpkcs7\nWcachain\n" + FINGERPRINT.text.encode() + b"\n"
    assert whitelist.parse(body).fingerprints == (FINGERPRINT,)


def test_a_whitelist_expires_at_the_hour_of_its_last_moment() -> None:
    written = Whitelist(NOW, NOW + timedelta(hours=2), "a.example.org", ())
    assert not written.has_expired(datetime(2026, 11, 22, 13, 59, 59, tzinfo=UTC))
    assert written.has_expired(datetime(2026, 11, 22, 14, 0, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"20261122123015\n",
        b"20261122123015\nE20261322123015\nNa\n",
        b"2026112212301\nE20261222123015\nNa\n",
        b"20261122123015\nX20261222123015\nNa\n",
        b"20261122123015\nE20261222123015\nNa\nzz:zz\n",
        b"20261122123015\nE+026122212301\nNa\n",
    ],
)
def test_a_malformed_whitelist_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        whitelist.parse(body)


def test_a_blacklist_names_certificates_and_old_revisions() -> None:
    text = f"# refused\n{FINGERPRINT.text} stolen\n\n<a.example.org 12\n<a.example.org 10\n"
    found = blacklist.parse(text)
    assert found.fingerprints == {FINGERPRINT}
    assert dict(found.first_revisions) == {"a.example.org": 12}


@pytest.mark.parametrize("text", ["<a.example.org", "<a.example.org twelve", "not a fingerprint"])
def test_a_malformed_blacklist_is_refused_rather_than_ignored(text: str) -> None:
    with pytest.raises(FormatError):
        blacklist.parse(text)


def test_a_breadcrumb_of_an_old_client_has_no_revision() -> None:
    crumb = breadcrumb.Breadcrumb.parse(ROOT.text + "T1795379351")
    assert (crumb.root_catalog, crumb.timestamp, crumb.revision) == (ROOT, 1795379351, 0)


def test_a_breadcrumb_keeps_the_hash_algorithm() -> None:
    root = ObjectId.of(b"", Algorithm.SHAKE128, Kind.CATALOG)
    crumb = breadcrumb.Breadcrumb(root, 5, 6)
    assert breadcrumb.Breadcrumb.parse(crumb.text) == crumb


def test_a_servers_list_is_read_as_it_was_written() -> None:
    offers = (servermeta.Offer("a.example.org", "/cvmfs/a.example.org"), servermeta.Offer("b.org", "/cvmfs/b.org"))
    assert servermeta.parse(servermeta.encode(offers, "test")) == offers


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"repositories": [1]}', b'{"repositories":[{"name":"../x","url":"/"}]}', b"[" * 100_000]
)
def test_a_malformed_servers_list_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        servermeta.parse(raw)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a..b", ".hidden", "a b", "a\n", "x" * 256, "a.b."])
def test_a_repository_name_cannot_be_a_path(name: str) -> None:
    assert not is_fqrn(name)


@pytest.mark.parametrize("name", ["dair.cvmfs.server", "software.eessi.io", "one", "a-b.c_d.org"])
def test_a_repository_name_is_a_host_name(name: str) -> None:
    assert is_fqrn(name)
