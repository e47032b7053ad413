"""The contracts of objects and documents, held over real HTTP and by the cache's way to the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from swrepo.net.http import HttpClient
from swrepo.net.remote import RemoteRepository
from swrepo.net.routes import Routes
from swrepo.web.serve import serving
from tests.contracts import documents, object_source
from tests.contracts.documents import DocumentsContract
from tests.contracts.object_source import ObjectSourceContract
from tests.simulator import RepositorySimulator


@pytest.fixture
def over_http(tmp_path: Path) -> Iterator[object_source.Connect]:
    with ExitStack() as stack:
        client = HttpClient()
        stack.callback(client.close)
        tmp_path.chmod(0o755)
        url = stack.enter_context(serving([tmp_path]))

        def connect(repository: RepositorySimulator) -> RemoteRepository:
            repository.save(tmp_path)
            return RemoteRepository(Routes([f"{url}/{repository.fqrn}"]), client)

        yield connect


class TestRemoteAsSource(ObjectSourceContract):
    @pytest.fixture
    def connect(self, over_http: object_source.Connect) -> object_source.Connect:
        return over_http


class TestRemoteAsDocuments(DocumentsContract):
    @pytest.fixture
    def connect(self, over_http: object_source.Connect) -> documents.Connect:
        return over_http
