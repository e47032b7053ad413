"""publish.renewal, .rotation, .key_archive, .key_report: what happens to keys in the life of a repository."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from swrepo.errors import (
    CertificateNotListed,
    FormatError,
    NotFound,
    PublishError,
    UntrustedSignature,
    WhitelistExpired,
)
from swrepo.format.wellknown import WHITELIST
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish import keyring
from swrepo.publish.key_archive import KeyArchive, write_new
from swrepo.publish.key_report import report
from swrepo.publish.layout import KeyFiles, RepositoryPlaces
from swrepo.publish.renewal import Renewer, listed_certificates, read_whitelist
from swrepo.publish.rotation import announce, rotate
from swrepo.trust.keys import Certificate
from tests.publishing import Server

DAY_NS = 86400 * 10**9


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


@pytest.fixture
def renewer(server):
    return Renewer(clock_ns=server.clock.nanoseconds)


def whitelist_of(server):
    return read_whitelist(DirectoryObjects(server.places.storage))


def fingerprint(server):
    settings_algorithm = server.manifest().root_catalog.algorithm
    return Certificate.parse(server.places.keys.certificate.read_bytes()).fingerprint(settings_algorithm)


def test_a_whitelist_is_signed_again_before_or_after_it_expired(server, renewer):
    (server.tree / "f").write_bytes(b"1")
    server.clock.ns += 40 * DAY_NS
    with pytest.raises(WhitelistExpired):
        server.publish()
    ends = replace(renewer, days=7).whitelist(server.places)
    assert server.publish().published
    assert whitelist_of(server).expires == ends
    assert ends - whitelist_of(server).created == timedelta(days=7)


def test_without_the_master_key_a_whitelist_cannot_be_signed_and_the_message_says_what_to_do(server, renewer, tmp_path):
    elsewhere = tmp_path / "safe"
    elsewhere.mkdir()
    server.places.keys.master.rename(elsewhere / server.places.keys.master.name)
    before = (server.places.storage / WHITELIST).read_bytes()
    with pytest.raises(NotFound, match=r"master key .*masterkey is missing.*-k DIR or FILE"):
        renewer.whitelist(server.places)
    assert (server.places.storage / WHITELIST).read_bytes() == before
    for place in (elsewhere, elsewhere / server.places.keys.master.name):
        replace(renewer, master=place).whitelist(server.places)
    assert not server.places.keys.master.exists()
    server.manifest()


def test_a_master_key_that_clients_do_not_know_signs_nothing(server, renewer, tmp_path):
    other = KeyFiles.of(tmp_path / "other", server.fqrn)
    keyring.prepare(other, server.fqrn, server.now())
    with pytest.raises(PublishError, match="does not belong to"):
        replace(renewer, master=other.master).whitelist(server.places)
    server.manifest()


def test_a_whitelist_in_a_file_keeps_the_certificates_that_it_lists(server, renewer, tmp_path):
    file = tmp_path / "whitelist"
    file.write_bytes((server.places.storage / WHITELIST).read_bytes())
    server.clock.ns += 40 * DAY_NS
    renewer.whitelist_file(file, server.fqrn, server.places.keys)
    (server.places.storage / WHITELIST).write_bytes(file.read_bytes())
    server.manifest()
    with pytest.raises(FormatError, match=r"is the whitelist of sw\.example\.org"):
        renewer.whitelist_file(file, "other.example.org", server.places.keys)


def test_a_manifest_is_signed_again_at_the_same_revision(server, renewer):
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    before = server.manifest()
    server.clock.ns += 3600 * 10**9
    after = renewer.manifest(server.places)
    assert server.manifest() == after
    assert (after.revision, after.root_catalog) == (before.revision, before.root_catalog)
    server.check()


def test_a_rotation_gives_another_key_and_everything_still_holds(server, renewer):
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    old, key = fingerprint(server), server.places.keys.signing.read_bytes()
    done = rotate(server.places, renewer)
    new = fingerprint(server)
    assert new != old
    assert whitelist_of(server).fingerprints == (new, old)
    assert server.places.keys.signing.read_bytes() != key
    assert stat.S_IMODE(server.places.keys.signing.stat().st_mode) == 0o400
    assert server.manifest() == done.manifest
    (server.tree / "g").write_bytes(b"2")
    server.publish()
    server.check()
    assert not list(server.places.keys.signing.parent.glob("*.new"))


def test_the_old_certificate_leaves_the_whitelist_after_a_month(server, renewer):
    rotate(server.places, renewer)
    server.clock.ns += 29 * DAY_NS
    renewer.whitelist(server.places)
    assert len(whitelist_of(server).fingerprints) == 2
    server.clock.ns += 2 * DAY_NS
    renewer.whitelist(server.places)
    assert whitelist_of(server).fingerprints == (fingerprint(server),)


def test_a_key_in_wrong_hands_is_not_believed_any_more(server, renewer):
    old_manifest = (server.places.storage / ".cvmfspublished").read_bytes()
    rotate(server.places, renewer, revoke=True)
    assert whitelist_of(server).fingerprints == (fingerprint(server),)
    server.manifest()
    (server.places.storage / ".cvmfspublished").write_bytes(old_manifest)
    with pytest.raises(CertificateNotListed):
        server.manifest()


def test_a_key_can_be_announced_ahead(server, renewer):
    old = fingerprint(server)
    assert announce(server.places, renewer).manifest is None
    announced = whitelist_of(server).fingerprints
    assert len(announced) == 2
    assert fingerprint(server) == old
    (server.tree / "f").write_bytes(b"1")
    server.publish()  # with the old key, as if nothing had been said
    rotate(server.places, renewer)
    assert {fingerprint(server), old} == set(announced)
    server.check()


class Stopped(Exception):
    """The machine stops."""


@pytest.mark.parametrize("step", range(1, 12))
def test_a_rotation_that_is_interrupted_anywhere_goes_on(server, renewer, step, monkeypatch):
    """Stopped before each rename: whoever reads believes the repository, and the next run ends with one new key."""
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    old = fingerprint(server)
    count = 0

    def stops(name):
        original = getattr(os, name)

        def renamed(*words, **options):
            nonlocal count
            count += 1
            if count == step:
                raise Stopped
            return original(*words, **options)

        return renamed

    with monkeypatch.context() as patch:
        for name in ("replace", "rename"):
            patch.setattr(os, name, stops(name))
        with suppress(Stopped):
            rotate(server.places, renewer)
    server.manifest()  # believed, whatever was done by then
    rotate(server.places, renewer)
    server.manifest()
    assert fingerprint(server) != old
    assert fingerprint(server) in whitelist_of(server).fingerprints
    (server.tree / "g").write_bytes(b"2")
    server.publish()
    server.check()


def archive_of(server, **options):
    return KeyArchive.of(server.places.keys, server.fqrn, **options)


@pytest.mark.parametrize("secret", [None, b"correct horse"])
def test_a_backup_brings_the_keys_back(server, secret, tmp_path):
    raw = archive_of(server).encode(secret)
    assert (b"PRIVATE KEY" in raw) is (secret is None)
    keys = server.places.keys
    contents = {path: path.read_bytes() for path in (keys.master, keys.public, keys.signing, keys.certificate)}
    for path in contents:
        path.unlink()
    KeyArchive.decode(raw, lambda: secret or b"").restore(keys)
    assert {path: path.read_bytes() for path in contents} == contents
    assert [stat.S_IMODE(path.stat().st_mode) for path in contents] == [0o400, 0o444, 0o400, 0o444]
    (server.tree / "f").write_bytes(b"1")
    assert server.publish().published


def test_a_backup_without_the_master_key_has_the_others(server):
    found = KeyArchive.decode(archive_of(server, without_master=True).encode(None), lambda: b"")
    assert not found.has_master
    assert len(found.files) == 3


def test_a_wrong_pass_phrase_or_a_changed_byte_is_told(server):
    raw = archive_of(server).encode(b"correct horse")
    with pytest.raises(UntrustedSignature, match="pass phrase"):
        KeyArchive.decode(raw, lambda: b"wrong horse")
    with pytest.raises(UntrustedSignature):
        KeyArchive.decode(raw[:-1] + bytes([raw[-1] ^ 1]), lambda: b"correct horse")
    with pytest.raises(FormatError):
        KeyArchive.decode(raw[:30], lambda: b"correct horse")


@pytest.mark.parametrize("raw", [b"", b"nonsense" * 100, b"\0" * 10240])
def test_what_is_no_backup_is_refused(raw):
    with pytest.raises(FormatError, match="not a backup of keys"):
        KeyArchive.decode(raw, lambda: b"")


def test_a_backup_overwrites_no_key(server, tmp_path):
    archive = archive_of(server)
    other = KeyFiles.of(tmp_path / "other", server.fqrn)
    keyring.prepare(other, server.fqrn, server.now())
    other.public.unlink()
    with pytest.raises(PublishError, match="another one than in the backup"):
        archive.restore(other)
    assert not other.public.exists()
    write_new(tmp_path / "backup", b"1")
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o400
    with pytest.raises(PublishError, match="exists already"):
        write_new(tmp_path / "backup", b"2")


def test_keys_that_do_not_belong_together_are_not_restored(server, tmp_path):
    archive = archive_of(server)
    other = KeyFiles.of(tmp_path / "other", server.fqrn)
    keyring.prepare(other, server.fqrn, server.now())
    for name, path in (("masterkey", other.master), ("key", other.signing)):
        mixed = KeyArchive(server.fqrn, {**archive.files, f"{server.fqrn}.{name}": path.read_bytes()})
        with pytest.raises(PublishError, match="does not belong to"):
            mixed.restore(KeyFiles.of(tmp_path / "empty", server.fqrn))


def test_keys_in_order_are_no_trouble(server):
    found = report(server.places, server.now())
    assert found.troubles == ()
    assert [key.note for key in found.files] == ["(0400)", "(0444)", "(0400)", "(0444)"]
    assert found.files[1].fingerprints[0].startswith("SHA-256 ")
    assert found.files[3].fingerprints == (fingerprint(server).text,)


def troubles(places: RepositoryPlaces, now: datetime) -> str:
    return "; ".join(report(places, now).troubles)


def test_what_is_wrong_with_keys_is_said_with_what_mends_it(server):
    now = server.now()
    assert "ends in 4 days" in troubles(server.places, now + timedelta(days=25, hours=1))
    assert "has expired" in troubles(server.places, now + timedelta(days=31))
    server.places.keys.signing.chmod(0o440)
    assert "chmod 400" in troubles(server.places, now)
    server.places.keys.signing.unlink()
    assert "keys restore" in troubles(server.places, now)
    server.places.keys.certificate.unlink()
    (server.places.storage / WHITELIST).unlink()
    assert "there is no whitelist" in troubles(server.places, now)


def test_certificates_are_those_of_the_keys(server):
    assert len(listed_certificates(server.places.keys, datetime.now(UTC))) == 1
    server.places.keys.certificate.unlink()
    with pytest.raises(NotFound, match="keys restore"):
        listed_certificates(server.places.keys, datetime.now(UTC))
