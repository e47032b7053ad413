"""Repositories made by CernVM-FS 2.12, read through the Python API: every path, every column, every tag."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.catalog.counters import NAMES as COUNTERS
from swrepo.catalog.counters import Counters
from swrepo.catalog.reader import CatalogFile
from swrepo.format import envelope, manifest
from swrepo.format.manifest import Manifest
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.codec import EMPTY
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from swrepo.repository.bootstrap import trusted_manifest
from swrepo.repository.history import Branch, HistoryFile, Tag, open_history
from swrepo.repository.reflog import ReflogFile
from swrepo.repository.revision import Revision
from swrepo.repository.walk import walk
from swrepo.trust.chain import TrustAnchors, TrustedManifest
from swrepo.trust.keys import PublicKey
from tests.golden import CLOCK, ENVIRONMENT, NAMES, Golden, golden, variants_of_this_machine
from tests.listing import differences, rows_of_revision
from tests.local_objects import UnpackedObjects

TAGS = ("v1", "v2", "v3", "v5", "v6", "extra", "v1-fix1", "v1-fix2")


def trusted(repository: Golden, served: Path | None = None) -> TrustedManifest:
    source = DirectoryObjects(served or repository.served)
    anchors = TrustAnchors(PublicKey.parse_all(repository.public_key.read_bytes()))
    return trusted_manifest(repository.fqrn, source, source, anchors, CLOCK)


@pytest.fixture
def history_objects(tmp_path: Path) -> UnpackedObjects:
    return UnpackedObjects(DirectoryObjects(golden("history").served), tmp_path)


@pytest.fixture
def history(history_objects: UnpackedObjects) -> Iterator[HistoryFile]:
    named = trusted(golden("history")).manifest.history
    assert named is not None
    opened = open_history(named, history_objects)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_path_and_every_column_is_what_the_original_client_showed(name: str, tmp_path: Path) -> None:
    repository = golden(name)
    objects = UnpackedObjects(DirectoryObjects(repository.served), tmp_path)
    with Revision.of(trusted(repository), objects) as revision:
        found = list(rows_of_revision(revision, ENVIRONMENT))
    expected = [row for row in repository.rows if variants_of_this_machine(row)]
    assert differences(expected, found) == []
    assert [row.path for row in found] == [
        row.path for row in expected
    ]  # names in order of their bytes, as `walk` says


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_shows_what_the_original_showed_of_it(
    tag: str, history: HistoryFile, history_objects: UnpackedObjects
) -> None:
    found = history.find(tag)
    assert found is not None
    with Revision(found.root, history_objects, found.size) as revision:
        assert revision.number == found.revision
        assert differences(golden("history").tag_rows(tag), rows_of_revision(revision, ENVIRONMENT)) == []


def test_the_tags_are_those_that_the_original_listed_in_its_order(history: HistoryFile) -> None:
    assert [tag_line(tag) for tag in history.tags()] == (golden("history").path / "tags.txt").read_text().splitlines()


def test_branches_are_read(history: HistoryFile) -> None:
    assert history.branches() == (Branch("", None, 0), Branch("fixes", "", 3))
    assert history.fqrn == "golden-history.example.org"
    assert history.previous_revision is not None


def tag_line(tag: Tag) -> str:
    """As `cvmfs_server tag -l -x` prints it."""
    return f"{tag.name} {tag.root.text} {tag.size} {tag.revision} {tag.timestamp} {tag.branch or '(default)'} {tag.description}"


@pytest.mark.parametrize(
    ("event", "revision", "names"),
    [
        ("rollback", 7, {"v1", "v2", "v3", "v4-bad", "trunk", "trunk-previous"}),
        ("gc", 11, {*TAGS, "trunk", "trunk-previous"}),
    ],
)
def test_the_repository_as_it_was_before_an_event_can_be_read_whole_at_every_tag(
    event: str, revision: int, names: set[str], tmp_path: Path
) -> None:
    served = golden("history").served_before(event)
    found = trusted(golden("history"), served).manifest
    objects = UnpackedObjects(DirectoryObjects(served), tmp_path)
    assert found.revision == revision
    assert found.history is not None
    tags = open_history(found.history, objects)
    assert {tag.name for tag in tags.tags()} == names
    for tag in tags.tags():
        with Revision(tag.root, objects, tag.size) as tree:
            rows = list(rows_of_revision(tree, ENVIRONMENT))
        if tag.name in TAGS and event == "gc":  # the rollback published v3 again, at another time
            assert differences(golden("history").tag_rows(tag.name), rows) == []
    tags.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_reflog_names_what_is_published_and_its_hash_is_that_of_the_manifest(name: str) -> None:
    served = golden(name).served
    found = trusted(golden(name)).manifest
    raw = (served / REFLOG).read_bytes()
    if name != "history":  # the original's garbage collection changes the log and leaves the manifest as it was
        assert found.reflog == ObjectId.of(raw, found.root_catalog.algorithm)
    reflog = ReflogFile.open(served / REFLOG)
    noted = {reference.id for reference in reflog.references()}
    assert {found.root_catalog, found.certificate, found.history, found.metainfo} <= noted
    assert reflog.fqrn == golden(name).fqrn
    assert all((served / object_id.path).exists() for object_id in noted)
    assert {reference.id for reference in reflog.references(Kind.CERTIFICATE)} == {found.certificate}
    reflog.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_counters_of_every_catalog_are_those_of_its_rows_and_of_the_catalogs_below(
    name: str, tmp_path: Path
) -> None:
    objects = UnpackedObjects(DirectoryObjects(golden(name).served), tmp_path)
    found = trusted(golden(name)).manifest
    assert counted(objects, Want(found.root_catalog, size=found.root_size), b"").entries > 1


def counted(objects: UnpackedObjects, want: Want, mountpoint: bytes) -> Counters:
    """The counters of a catalog and of all below it, after comparing those that are stored with what is there."""
    descriptor = objects.open(want)
    catalog = CatalogFile.open(descriptor, mountpoint)
    os.close(descriptor)
    chunks: dict[tuple[int, int], int] = {}
    for key, _ in catalog.all_chunks():
        chunks[key] = chunks.get(key, 0) + 1
    own = Counters(nested=len(catalog.nested()))
    for entry, key, _ in catalog.entries():
        own += Counters.of_entry(entry, chunks.get(key, 0))
    below = Counters()
    for ref in catalog.nested():
        below += counted(objects, Want(ref.id, size=ref.size), ref.path)
    stored = catalog.counters()
    assert stored.own == own, mountpoint
    assert stored.subtree == below, mountpoint
    catalog.close()
    return own + below


@pytest.mark.parametrize("name", NAMES)
def test_hashes_chunks_and_counters_are_those_of_the_magic_attributes(name: str, tmp_path: Path) -> None:
    expected = {(path, attribute.decode()): value for path, attribute, value in golden(name).magic_xattrs()}
    objects = UnpackedObjects(DirectoryObjects(golden(name).served), tmp_path)
    checked = 0
    with Revision.of(trusted(golden(name)), objects) as revision:
        assert expected[b"/", "user.root_hash"].decode() == revision.root.text
        assert int(expected[b"/", "user.revision"]) == revision.number
        assert expected[b"/", "user.repo_counters"].decode() == counter_lines(revision.tree.root.counters().total)
        for path, entry in walk(revision):
            for attribute, value in magic_values(revision, path).items():
                if (path or b"/", attribute) in expected:
                    assert expected[path or b"/", attribute].decode("latin-1") == value, (path, attribute)
                    checked += 1
            assert entry.name == path.rpartition(b"/")[2]
    assert checked > 10


def magic_values(revision: Revision, path: bytes) -> dict[str, str]:
    """The magic attributes that only tell what is in the catalogs."""
    entry = revision.lookup(path)
    catalog = revision.tree.find(path)
    values = {"user.catalog_counters": catalog_lines(revision, catalog)}
    if entry.is_symlink:
        values["xfsroot.rawlink"] = entry.symlink.decode("latin-1")
    if entry.is_regular:
        chunks = revision.chunks(path)
        listed = [(entry.chunk_id(chunk).text, chunk.offset, chunk.size) for chunk in chunks]
        if entry.content is not None:
            values["user.hash"] = entry.content.text
            listed = listed or [(entry.content.text, 0, entry.size)]
        values["user.chunks"] = str(len(listed))
        values["user.compression"] = entry.compression.name.lower()
        lines = [f"{name},{offset},{size}\n" for name, offset, size in listed]
        values["user.chunk_list"] = "hash,offset,size\n" + "".join(lines)
    return values


def catalog_lines(revision: Revision, catalog: CatalogFile) -> str:
    mounted = revision.tree.mounted(catalog.mountpoint)
    name = revision.root if mounted is None else mounted.id
    mountpoint = catalog.mountpoint.decode("latin-1")
    counters = counter_lines(catalog.counters().total)
    return f"catalog_hash: {name.text}\ncatalog_mountpoint: {mountpoint}\n{counters}"


def counter_lines(counters: Counters) -> str:
    return "".join(f"{name},{getattr(counters, name)}\n" for name in sorted(COUNTERS))


def test_one_manifest_is_enough_to_reach_every_object_that_is_served(tmp_path: Path) -> None:
    """What the trees, tags and documents name is what garbage collection left; the object of nothing is made ahead."""
    served = golden("history").served
    source = DirectoryObjects(served)
    objects = UnpackedObjects(source, tmp_path)
    found: Manifest = manifest.parse(envelope.split((served / MANIFEST).read_bytes()).body)
    named = {found.certificate, found.history, found.metainfo}
    assert found.history is not None
    tags = open_history(found.history, objects)
    for tag in tags.tags():
        with Revision(tag.root, objects, tag.size) as revision:
            named.add(tag.root)
            for path, entry in walk(revision):
                if (mounted := revision.tree.mounted(path)) is not None:
                    named.add(mounted.id)
                if entry.is_regular:
                    named.update(want.id for want in revision.content(path).wants())
    tags.close()
    assert named | {ObjectId.of(EMPTY)} == set(source.list())
    for object_id in source.list():
        source.fetch(Want(object_id), BytesIO())
