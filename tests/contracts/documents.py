"""What every Documents and WritableDocuments does. Subclass it in a test module and say how to connect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swrepo.errors import ObjectNotFound, ObjectTooLarge
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import Documents, WritableDocuments
from tests.simulator import RepositorySimulator

Connect = Callable[[RepositorySimulator], Documents]


class DocumentsContract:
    """`connect` gives what serves the simulator's documents at the time of the call."""

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def repository(self) -> RepositorySimulator:
        return RepositorySimulator()

    def test_reads_a_document_whole(self, repository: RepositorySimulator, connect: Connect) -> None:
        documents = connect(repository)
        for name in (MANIFEST, WHITELIST):
            assert documents.read(name) == repository.documents[name]

    def test_reads_an_empty_document(self, repository: RepositorySimulator, connect: Connect) -> None:
        repository.documents[".cvmfs_master_replica"] = b""
        assert connect(repository).read(".cvmfs_master_replica") == b""

    def test_says_that_there_is_no_such_document(self, repository: RepositorySimulator, connect: Connect) -> None:
        with pytest.raises(ObjectNotFound, match="cvmfs_last_snapshot"):
            connect(repository).read(".cvmfs_last_snapshot")

    def test_reads_up_to_the_limit_and_not_a_byte_more(self, repository: RepositorySimulator, connect: Connect) -> None:
        repository.documents[".cvmfsreflog"] = bytes(1000)
        documents = connect(repository)
        assert documents.read(".cvmfsreflog", limit=1000) == bytes(1000)
        with pytest.raises(ObjectTooLarge, match="cvmfsreflog"):
            documents.read(".cvmfsreflog", limit=999)


class WritableDocumentsContract:
    """`documents` is one that holds nothing yet."""

    @pytest.fixture
    def documents(self) -> WritableDocuments:
        raise NotImplementedError

    def test_reads_what_was_written_last(self, documents: WritableDocuments) -> None:
        for data in (b"first", b"", b"third, and longer"):
            documents.write(MANIFEST, data)
            assert documents.read(MANIFEST) == data

    def test_forgets_what_was_removed(self, documents: WritableDocuments) -> None:
        documents.write(MANIFEST, b"a manifest")
        documents.remove(MANIFEST)
        documents.remove(MANIFEST)
        with pytest.raises(ObjectNotFound):
            documents.read(MANIFEST)

    def test_keeps_documents_apart(self, documents: WritableDocuments) -> None:
        documents.write(MANIFEST, b"a manifest")
        documents.write(WHITELIST, b"a whitelist")
        assert documents.read(MANIFEST) == b"a manifest"
