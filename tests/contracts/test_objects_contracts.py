"""The contracts of objects and documents, held by everything below the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from tests.contracts import documents, object_source
from tests.contracts.documents import DocumentsContract, WritableDocumentsContract
from tests.contracts.object_source import ObjectSourceContract
from tests.contracts.object_store import ObjectStoreContract


class TestSimulatorAsSource(ObjectSourceContract):
    @pytest.fixture
    def connect(self) -> object_source.Connect:
        return lambda repository: repository


class TestSimulatorAsDocuments(DocumentsContract):
    @pytest.fixture
    def connect(self) -> documents.Connect:
        return lambda repository: repository


class TestDirectoryAsSource(ObjectSourceContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> object_source.Connect:
        return lambda repository: DirectoryObjects(repository.save(tmp_path))


class TestDirectoryAsDocuments(DocumentsContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> documents.Connect:
        return lambda repository: DirectoryObjects(repository.save(tmp_path))


class TestDirectoryAsWritableDocuments(WritableDocumentsContract):
    @pytest.fixture
    def documents(self, empty_directory: DirectoryObjects) -> DirectoryObjects:
        return empty_directory


class TestDirectoryAsStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, empty_directory: DirectoryObjects) -> DirectoryObjects:
        return empty_directory


class TestBatchAsStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, empty_directory: DirectoryObjects) -> ObjectBatch:
        return ObjectBatch(empty_directory.root, empty_directory)


@pytest.fixture
def empty_directory(tmp_path: Path) -> DirectoryObjects:
    found = DirectoryObjects(tmp_path / "served")
    found.create()
    return found
