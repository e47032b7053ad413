"""publish.transaction: what is in the work tree becomes the next revision, or nothing changes."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from contextlib import closing

import pytest

from swrepo.errors import (
    Busy,
    CertificateNotListed,
    NotFound,
    PublishError,
    UntrustedSignature,
    UsageError,
    WhitelistExpired,
)
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG, WHITELIST
from swrepo.publish import keyring, settings
from swrepo.publish.changes import Verb
from swrepo.publish.info import info
from swrepo.publish.layout import KeyFiles
from swrepo.system.lock import exclusive
from tests.publishing import Server, fast_options, shared_keys


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "server")


def fill(tree):
    """Some of everything, with nested catalogs in nested catalogs."""
    (tree / "bin").mkdir()
    (tree / "bin" / "tool").write_bytes(b"#!/bin/sh\n")
    (tree / "bin" / "tool").chmod(0o755)
    (tree / "bin" / "alias").symlink_to("tool")
    os.link(tree / "bin" / "tool", tree / "bin" / "twin")
    (tree / "big").write_bytes(random.Random(7).randbytes(60_000))
    for directory in ("a", "a/b", "a/b/c", "d"):
        (tree / directory).mkdir()
        (tree / directory / ".cvmfscatalog").touch()
        (tree / directory / "file").write_bytes(directory.encode())
    (tree / "a" / "big").write_bytes(random.Random(8).randbytes(30_000))
    (tree / "plain").mkdir()
    (tree / "plain" / "file").write_bytes(b"plain")


def test_what_is_published_reads_back(server):
    fill(server.tree)
    outcome = server.publish()
    assert (outcome.published, outcome.revision, outcome.removed) == (True, 2, 0)
    assert outcome.catalogs == 5
    assert set(server.check()) == {b"", b"/a", b"/a/b", b"/a/b/c", b"/d"}


def test_publishing_without_a_change_makes_nothing_and_says_so(server):
    fill(server.tree)
    server.publish()
    before = (server.objects(), server.manifest())
    outcome = server.publish()
    assert (outcome.published, outcome.revision) == (False, 2)
    assert (outcome.new_objects, outcome.catalogs) == (0, 0)
    assert (server.objects(), server.manifest()) == before


def test_only_catalogs_on_the_way_to_a_change_are_written(server):
    fill(server.tree)
    server.publish()
    before = {path: catalog.revision for path, catalog in server.check().items()}
    (server.tree / "a" / "b" / "file").write_bytes(b"changed")
    outcome = server.publish()
    assert (outcome.catalogs, outcome.changed, outcome.added, outcome.removed) == (3, 1, 0, 0)
    after = {path: catalog.revision for path, catalog in server.check().items()}
    assert after == {**before, b"": 3, b"/a": before[b"/a"] + 1, b"/a/b": before[b"/a/b"] + 1}


def test_a_catalog_names_its_predecessor(server):
    fill(server.tree)
    first = server.manifest()
    server.publish()
    with server.revision() as revision:
        assert revision.tree.root.previous_revision == first.root_catalog
        old = {ref.path: ref.id for ref in revision.tree.root.nested()}
        assert revision.tree.find(b"/a").properties["previous_revision"] == "0" * 40
    (server.tree / "a" / "file").write_bytes(b"changed")
    server.publish()
    with server.revision() as revision:
        assert revision.tree.find(b"/a").previous_revision == old[b"/a"]
        assert revision.tree.find(b"/a").properties["root_prefix"] == "/a"
        assert "TTL" not in revision.tree.find(b"/a").properties
        assert revision.tree.root.properties["TTL"] == "240"


@pytest.mark.parametrize("where", ["plain", "bin", "a/b/c", "d", "a"])
def test_a_marker_makes_and_dissolves_a_catalog(server, where):
    fill(server.tree)
    server.publish()
    marker = server.tree / where / ".cvmfscatalog"
    had = marker.exists()
    for _ in range(2):
        if marker.exists():
            marker.unlink()
        else:
            marker.touch()
        server.publish()
        assert (os.fsencode(f"/{where}") in server.check()) == marker.exists()
    assert marker.exists() == had


def test_a_catalog_is_made_above_existing_ones_and_dissolved_between_them(server):
    (server.tree / "x" / "y" / "z").mkdir(parents=True)
    (server.tree / "x" / "y" / "z" / ".cvmfscatalog").touch()
    for number in range(3):
        (server.tree / "x" / "y" / f"f{number}").write_bytes(b"%d" % number)
    os.link(server.tree / "x" / "y" / "f0", server.tree / "x" / "y" / "g0")
    server.publish()
    for directory in ("x", "x/y"):
        (server.tree / directory / ".cvmfscatalog").touch()
        server.publish()
        server.check()
    assert set(server.check()) == {b"", b"/x", b"/x/y", b"/x/y/z"}
    (server.tree / "x" / "y" / ".cvmfscatalog").unlink()
    server.publish()
    assert set(server.check()) == {b"", b"/x", b"/x/y/z"}
    (server.tree / "x" / ".cvmfscatalog").unlink()
    (server.tree / "x" / "y" / "z" / ".cvmfscatalog").unlink()
    server.publish()
    assert set(server.check()) == {b""}


def test_a_directory_goes_away_with_the_catalogs_in_it(server):
    fill(server.tree)
    server.publish()
    import shutil

    shutil.rmtree(server.tree / "a")
    (server.tree / "a").write_bytes(b"now a file")
    shutil.rmtree(server.tree / "d")
    outcome = server.publish()
    assert outcome.removed == 2
    assert set(server.check()) == {b""}


def test_a_new_directory_with_catalogs_in_a_new_directory_with_catalogs(server):
    server.publish()
    fill(server.tree)
    os.rename(server.tree / "a", server.tree / "d" / "moved")
    server.publish()
    assert set(server.check()) == {b"", b"/d", b"/d/moved", b"/d/moved/b", b"/d/moved/b/c"}


def test_the_metadata_of_a_mountpoint_changes_in_both_catalogs(server):
    fill(server.tree)
    server.publish()
    (server.tree / "a").chmod(0o2750)
    os.utime(server.tree / "d", ns=(1, 1))
    server.publish()
    server.check()


def test_unchanged_objects_are_shared_between_revisions(server):
    fill(server.tree)
    server.publish()
    before = server.objects()
    (server.tree / "copy").write_bytes((server.tree / "big").read_bytes())
    outcome = server.publish()
    new = server.objects() - before
    assert {name.kind for name in new} == {Kind.CATALOG, Kind.HISTORY}
    assert outcome.new_objects == len(new) == 2
    server.check()


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_every_hash_algorithm(tmp_path, algorithm):
    server = Server(tmp_path, fast_options(algorithm=algorithm))
    fill(server.tree)
    server.publish()
    (server.tree / "a" / "file").write_bytes(b"2")
    server.publish()
    server.check()
    assert {name.algorithm for name in server.objects()} == {algorithm}


def test_tags_follow_the_revisions(server):
    first = server.manifest()
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    tags = server.tags()
    automatic = set(tags) - {"trunk", "trunk-previous"}
    assert [
        re.fullmatch(r"generic-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", name) is not None for name in automatic
    ] == [True]
    assert (tags["trunk"].revision, tags["trunk"].root) == (2, server.manifest().root_catalog)
    assert (tags["trunk-previous"].revision, tags["trunk-previous"].root) == (1, first.root_catalog)
    (server.tree / "f").write_bytes(b"2")
    server.publish(tag="v1", message="the first")
    tags = server.tags()
    assert (tags["v1"].revision, tags["v1"].description) == (3, "the first")
    assert set(tags) == {"trunk", "trunk-previous", "v1"} | automatic


def test_a_tag_without_a_change_names_the_current_revision(server):
    (server.tree / "f").write_bytes(b"1")
    published = server.publish()
    outcome = server.publish(tag="v1")
    assert not outcome.published
    assert server.tags()["v1"].revision == published.revision
    assert server.tags()["trunk-previous"].revision == 1
    server.check()


def test_a_tag_that_cannot_be_given_is_refused_before_any_work(server):
    (server.tree / "f").write_bytes(b"1")
    server.publish(tag="v1")
    (server.tree / "f").write_bytes(b"2")
    before = server.objects()
    for name, reason in (("v1", "taken by revision 2"), ("trunk", "moved by every"), ("a b", "white space")):
        with pytest.raises(UsageError, match=reason):
            server.publish(tag=name)
    assert server.objects() == before


def test_new_settings_make_a_new_revision_by_themselves(server):
    text = server.places.server_conf.read_text()
    server.places.server_conf.write_text(text.replace("CVMFS_REPOSITORY_TTL=240", "CVMFS_REPOSITORY_TTL=900"))
    outcome = server.publish()
    assert outcome.published
    assert server.manifest().ttl == 900
    with server.revision() as revision:
        assert revision.tree.root.properties["TTL"] == "900"


def test_the_clock_of_the_publisher_may_go_back_but_not_the_manifest(server):
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    before = server.manifest().timestamp
    (server.tree / "f").write_bytes(b"2")
    server.clock.ns -= 7200 * 10**9
    server.publish()
    server.clock.ns += 7200 * 10**9
    assert server.manifest().timestamp == before


def test_a_second_publisher_is_told_who_the_first_is(server):
    before = server.manifest()
    with (
        exclusive(server.places.lock, "publishing"),
        pytest.raises(Busy, match=f"pid {os.getpid()} on {os.uname().nodename}"),
    ):
        server.publish()
    assert server.manifest() == before


def test_an_expired_whitelist_is_refused_before_any_work(server):
    (server.tree / "f").write_bytes(b"1")
    before = server.objects()
    server.clock.ns += 31 * 86400 * 10**9
    with pytest.raises(WhitelistExpired, match="expired"):
        server.publish()
    assert server.objects() == before


def renew(server, directory):
    """Another certificate in place of the repository's."""
    other = keyring.prepare(KeyFiles.of(directory, server.fqrn), server.fqrn, server.now())
    for name in ("signing", "certificate"):
        path = getattr(server.places.keys, name)
        path.unlink()
        path.write_bytes(getattr(KeyFiles.of(directory, server.fqrn), name).read_bytes())
    return other


def test_a_certificate_that_is_not_listed_is_refused_before_any_work(server, tmp_path):
    (server.tree / "f").write_bytes(b"1")
    renew(server, tmp_path / "other")
    before = server.objects()
    with pytest.raises(CertificateNotListed, match="resign"):
        server.publish()
    assert server.objects() == before


def test_a_whitelist_of_another_master_key_is_refused(server, tmp_path):
    other = keyring.prepare(KeyFiles.of(tmp_path / "other", server.fqrn), server.fqrn, server.now())
    (server.places.storage / WHITELIST).write_bytes(other.whitelist(server.fqrn, server.now(), Algorithm.SHA1))
    with pytest.raises(UntrustedSignature):
        server.publish()


def test_a_key_that_is_not_the_certificates_is_refused(server, tmp_path):
    other = KeyFiles.of(tmp_path / "other", server.fqrn)
    keyring.prepare(other, server.fqrn, server.now())
    server.places.keys.signing.unlink()
    server.places.keys.signing.write_bytes(other.signing.read_bytes())
    with pytest.raises(PublishError, match="not the certificate of"):
        server.publish()


def test_a_missing_key_is_named(server):
    server.places.keys.signing.unlink()
    with pytest.raises(NotFound, match=r"sw\.example\.org\.key"):
        server.publish()


def test_a_repository_that_does_not_exist(server):
    with pytest.raises(NotFound, match="create it with mkfs"):
        server.publisher().publish("other.example.org")
    with pytest.raises(UsageError, match="cannot be a repository's name"):
        server.publisher().publish("../etc")


def test_a_work_tree_that_does_not_exist_is_not_an_empty_one(server, tmp_path):
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    with pytest.raises(NotFound, match="not a directory"):
        server.publisher().publish(server.fqrn, tmp_path / "missing")


def test_a_tree_with_faults_leaves_the_last_revision(server):
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    before = server.manifest()
    (server.tree / "good").write_bytes(b"2")
    (server.tree / "bad").mkdir()
    (server.tree / "bad" / ".cvmfscatalog").mkdir()
    with pytest.raises(PublishError, match=r"/bad/\.cvmfscatalog: the marker"):
        server.publish()
    assert server.manifest() == before
    (server.tree / "bad" / ".cvmfscatalog").rmdir()
    server.publish()
    server.check()


def test_after_a_garbage_collection_the_log_is_believed_with_the_checksum_that_it_left(server):
    (server.tree / "f").write_bytes(b"1")
    log = server.places.storage / REFLOG
    with closing(sqlite3.connect(log)) as database, database:
        database.execute("DELETE FROM refs WHERE rowid = 1")
    with pytest.raises(PublishError, match=f"bring its checksum along, to {server.places.reflog_checksum}"):
        server.publish()
    server.places.reflog_checksum.write_text(f"{ObjectId.of(log.read_bytes(), Algorithm.SHA1)}\n")
    assert server.publish().published
    server.check()


def test_a_reference_log_that_is_not_ours_is_refused(server):
    (server.tree / "f").write_bytes(b"1")
    before = server.manifest()
    path = server.places.storage / REFLOG
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    with pytest.raises(PublishError, match="not the one that was written last"):
        server.publish()
    path.unlink()
    with pytest.raises(PublishError, match="missing"):
        server.publish()
    assert server.manifest() == before
    path.write_bytes(good)
    server.publish()
    server.check()


def test_sync_stores_contents_ahead_and_publishes_nothing(server):
    fill(server.tree)
    before, lines = server.manifest(), []
    outcome = server.publisher(report=lines.append).sync(server.fqrn)
    assert server.manifest() == before
    assert not outcome.published
    assert outcome.added == len(lines) - 1
    assert {line.path for line in lines if line.verb is Verb.ADDED} >= {b"/bin/tool", b"/a/b/c/file"}
    staged = server.objects()
    assert {name.kind for name in staged - before_kinds(staged)} <= {Kind.FILE, Kind.PARTIAL}
    outcome = server.publish()
    assert outcome.published
    assert {name.kind for name in server.objects() - staged} == {Kind.CATALOG, Kind.HISTORY}
    server.check()


def before_kinds(names):
    return {name for name in names if name.kind not in (Kind.FILE, Kind.PARTIAL)}


def test_alternative_paths_are_kept_up(server):
    """A repository of the original may ask for copies of its bootstrap objects beside the data directory."""
    import dataclasses

    from swrepo.trust.signer import SigningKey, sign_manifest

    key = SigningKey.load(server.places.keys.signing.read_bytes())
    changed = dataclasses.replace(server.manifest(), alt_catalog_path=True)
    (server.places.storage / MANIFEST).write_bytes(sign_manifest(key, changed.encode()))
    (server.tree / "f").write_bytes(b"1")
    server.publish()
    manifest = server.manifest()
    assert manifest.alt_catalog_path
    for name in (manifest.root_catalog, manifest.certificate, manifest.history, manifest.metainfo):
        copy = server.places.storage / f".cvmfsalt-{name.name}"
        assert copy.read_bytes() == (server.places.storage / name.path).read_bytes()


def test_info_tells_the_state_and_the_trouble(server):
    fill(server.tree)
    server.publish()
    found = info(server.layout, server.fqrn, server.now())
    assert (found.manifest.revision, found.trouble) == (2, "")
    assert found.counters.nested == 4
    assert found.settings == settings.load(server.places.server_conf)
    later = server.now().replace(year=server.now().year + 1)
    assert "expired" in info(server.layout, server.fqrn, later).trouble
    assert shared_keys().exists()


def test_a_repository_made_by_the_original_is_published_to(tmp_path):
    """Its server.conf, keys and storage in our layout; its files are kept, its hashes for what did not change too."""
    import shutil

    from tests.golden import CLOCK, golden
    from tests.interop.materialise import materialise

    theirs = golden("shake128")
    server = Server.__new__(Server)
    from swrepo.publish.layout import ServerLayout
    from tests.publishing import Clock

    server.layout, server.fqrn, server.clock = ServerLayout(tmp_path), theirs.fqrn, Clock()
    server.clock.ns = int(CLOCK.timestamp()) * 10**9
    server.places = server.layout.repository(theirs.fqrn)
    server.tree = server.places.worktree
    shutil.copytree(theirs.served, server.places.storage)
    shutil.copytree(theirs.path / "keys", server.layout.keys)
    server.places.configuration.mkdir(parents=True)
    shutil.copy(theirs.path / "server.conf", server.places.server_conf)
    server.tree.mkdir(parents=True)
    (server.places.storage / "data" / "txn").mkdir(exist_ok=True)
    with server.revision() as revision:
        materialise(revision, server.tree)
        nested = revision.tree.root.nested()
    (server.tree / "nested" / "added").write_bytes(b"by us")
    outcome = server.publish()
    assert (outcome.published, outcome.catalogs, outcome.removed) == (True, 2, 0)
    with server.revision() as revision:
        assert revision.tree.find(b"/nested").previous_revision == nested[0].id
        assert revision.lookup(b"/nested/added").size == 5
    assert set(server.tags()) >= {"trunk", "trunk-previous", "tag-shake128"}
