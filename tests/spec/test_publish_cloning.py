"""A directory copied to another path by its metadata alone, as a template transaction does."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from swrepo.errors import PublishError, TemplateRefused
from swrepo.format.object_id import Kind
from swrepo.objects.chunker import ChunkSizes
from swrepo.publish import template
from swrepo.publish.changed import Touched
from swrepo.publish.cloning import CloneRequest, clone
from swrepo.publish.opening import open_repository
from swrepo.publish.storage import opened
from swrepo.repository.walk import walk
from tests.publishing import Server, check_catalogs, check_documents, fast_options


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path, fast_options(chunks=ChunkSizes(4096, 8192, 16384)))
    for name in ("v1", "v1/nested", "v1/nested/deep", "v1/plain", "other"):
        (found.tree / name).mkdir()
    for name in ("v1/.cvmfscatalog", "v1/nested/.cvmfscatalog"):
        (found.tree / name).touch()
    (found.tree / "v1/nested/x").write_text("x\n")
    os.link(found.tree / "v1/nested/x", found.tree / "v1/nested/y")
    (found.tree / "v1/nested/deep/large").write_bytes(os.urandom(50_000))
    (found.tree / "v1/plain/link").symlink_to("../nested/x")
    (found.tree / "file").write_text("file\n")
    found.publish()
    return found


def opened_repository(server):
    return open_repository(server.places, opened, datetime.fromtimestamp(server.clock.ns // 10**9, UTC))


def begin(server, words):
    """What `transaction -T` does but for its mounts."""
    found, entries = clone(opened_repository(server), CloneRequest.parse(words), server.clock.ns, lambda: None)
    template.write(server.places, found)
    server.places.in_transaction.touch()
    return entries


def publish(server, *entries):
    outcome = server.publish(touched=Touched(frozenset(), frozenset(entries), is_merged=True))
    server.places.in_transaction.unlink()
    return outcome


def tree(revision, top):
    """All that is below a directory, without its own name, rows and numbers of hard link groups."""
    found = {}
    for path, entry in walk(revision, top):
        structure = (entry.is_nested_mountpoint, entry.linkcount, bool(entry.hardlink_group))
        plain = entry._replace(flags=0, rowid=0, hardlinks=0, name=b"" if path == top else entry.name)
        found[path[len(top) :]] = (plain, structure, revision.chunks(path))
    return found


def test_a_clone_is_its_source_in_all_but_the_path(server):
    objects = server.objects()
    assert begin(server, b"v1=other/v2") == 10
    assert {one.kind for one in server.objects() - objects} == {Kind.CATALOG}
    outcome = publish(server)
    assert (outcome.published, outcome.revision, outcome.new_objects) == (True, 3, 2)
    with server.revision() as revision:
        assert tree(revision, b"/other/v2") == tree(revision, b"/v1")
        assert revision.inode(b"/other/v2/nested/x") == revision.inode(b"/other/v2/nested/y")
        assert set(check_catalogs(revision)) == {b"", b"/v1", b"/v1/nested", b"/other/v2", b"/other/v2/nested"}
    check_documents(server.places, server.manifest())


def test_the_revision_before_is_the_one_that_was_published_and_not_the_template(server):
    before = server.manifest().root_catalog
    begin(server, b"/v1=/v2")
    publish(server)
    with server.revision() as revision:
        assert revision.tree.root.previous_revision == before
        assert revision.number == server.manifest().revision == 3


def test_a_clone_into_a_nested_catalog_is_counted_there(server):
    begin(server, b"/v1/plain=/v1/nested/plain")
    publish(server)
    with server.revision() as revision:
        assert revision.lookup(b"/v1/nested").linkcount == 4
        assert tree(revision, b"/v1/nested/plain") == tree(revision, b"/v1/plain")
        check_catalogs(revision)


def test_a_publication_beside_an_open_template_is_noticed(server):
    begin(server, b"/v1=/v2")
    server.places.in_transaction.unlink()
    (server.tree / "new").touch()
    server.publish()
    server.places.in_transaction.touch()
    with pytest.raises(PublishError, match="abort it, and clone anew"):
        publish(server)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"/nothing=/new", "/nothing does not exist"),
        (b"/file=/new", "/file is no directory"),
        (b"/v1=/file", "/file exists already"),
        (b"/v1=/v1", "into itself"),
        (b"/v1=/v1/nested/new", "into itself"),
        (b"/v1=/nothing/new", "/nothing is no directory"),
        (b"/v1=/file/new", "/file is no directory"),
        (b"/=/new", "top directory"),
        (b"/v1=/", "top directory"),
        (b"/v1=/.cvmfs/x", "reserved"),
        (b"/v1", "FROM=TO"),
        (b"/a=/b=/c", "FROM=TO"),
    ],
)
def test_what_cannot_be_cloned_is_refused_with_a_reason(server, words, reason):
    with pytest.raises(TemplateRefused, match=reason):
        begin(server, words)


def test_a_name_that_begins_like_the_source_is_not_inside_it(server):
    begin(server, b"/v1=/v1-copy")
    publish(server)
    with server.revision() as revision:
        assert tree(revision, b"/v1-copy") == tree(revision, b"/v1")
