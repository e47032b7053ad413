"""publish.member_content: who stores what comes out of an archive."""

from __future__ import annotations

import threading
from io import BytesIO

import pytest

from swrepo.errors import CacheFull
from swrepo.format.tar import Sparse
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.known_contents import KnownContents
from swrepo.publish.member import MemberContent
from swrepo.publish.member_content import Porter, Warehouse
from swrepo.publish.settings import RepositorySettings


class Noted(ObjectBatch):
    """Notes which threads put."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.threads = set()

    def put(self, object_id, stored):
        self.threads.add(threading.current_thread())
        super().put(object_id, stored)


class Full(ObjectBatch):
    """Has no room."""

    def put(self, object_id, stored):
        del object_id, stored
        raise CacheFull("no space left")


def stored(directory, batch, contents):
    """Store files with these contents; the digests of their objects."""
    known = KnownContents(directory / "contents.db", "here")
    warehouse = Warehouse.of(RepositorySettings("sw.example.org", "root"), batch, known)
    with Porter(warehouse, threads=2) as porter:
        pending = [
            porter.begin(b"/%d" % number, len(content), member(content)) for number, content in enumerate(contents)
        ]
        found = [one.take() for one in pending]
    known.close()
    return [content.digest for content in found]


def member(content):
    dense = Sparse(len(content))
    dense.add(0, len(content))
    return MemberContent(BytesIO(content).read, dense)


@pytest.fixture
def objects(tmp_path):
    found = DirectoryObjects(tmp_path)
    found.create()
    return found


def test_little_files_are_stored_by_the_thread_that_reads_them(tmp_path, objects):
    batch = Noted(tmp_path, objects)

    digests = stored(tmp_path, batch, [b"%d" % number for number in range(300)])

    assert batch.threads == {threading.current_thread()}
    assert len(set(digests)) == 300


def test_larger_files_are_stored_by_others(tmp_path, objects):
    batch = Noted(tmp_path, objects)

    stored(tmp_path, batch, [b"%d" % number * 50_000 for number in range(30)])

    assert threading.current_thread() not in batch.threads


def test_whoever_takes_a_little_file_that_cannot_be_stored_hears_of_it(tmp_path, objects):
    with pytest.raises(CacheFull, match="no space left"):
        stored(tmp_path, Full(tmp_path, objects), [b"1", b"2"])
