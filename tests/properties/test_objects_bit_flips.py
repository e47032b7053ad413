"""One flipped bit, in whatever a client fetches, never reaches a reader."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import CorruptObject, SwrepoError, TrustError
from swrepo.format.compression import Compression
from swrepo.format.object_id import Algorithm, Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, WHITELIST
from swrepo.objects.store import DOCUMENT_LIMIT, Want
from swrepo.trust.chain import Chain
from tests.simulator import RepositorySimulator, flipped

CATALOG = b"SQLite format 3\0" + bytes(range(256)) * 60
CONTENT = b"The quick brown fox jumps over the lazy dog. " * 99


class Scene:
    """A repository with one of everything, and the client that reads all of it."""

    def __init__(self, algorithm: Algorithm, compression: Compression) -> None:
        self.repository = RepositorySimulator(algorithm=algorithm)
        self.catalog = self.repository.put(CATALOG, Kind.CATALOG)
        self.file = self.repository.put(CONTENT, compression=compression)
        self.compression = compression
        self.repository.sign_manifest(root_catalog=self.catalog, root_size=len(CATALOG))

    @property
    def paths(self) -> list[str]:
        objects: list[ObjectId] = [self.repository.certificate, self.catalog, self.file]
        return [MANIFEST, WHITELIST, *(object_id.path for object_id in objects)]

    def read_everything(self) -> tuple[bytes, bytes]:
        repository = self.repository
        chain = Chain(repository.fqrn, repository.anchors, repository.now)
        certificate = chain.manifest(repository.read(MANIFEST))
        chain.whitelist(repository.read(WHITELIST))
        chain.certificate(self._fetch(Want(certificate, limit=DOCUMENT_LIMIT)))
        manifest = chain.seal().manifest
        catalog = self._fetch(Want(manifest.root_catalog, size=manifest.root_size))
        return catalog, self._fetch(Want(self.file, self.compression, len(CONTENT)))

    def _fetch(self, want: Want) -> bytes:
        out = BytesIO()
        self.repository.fetch(want, out)
        return out.getvalue()


SCENES = {(a, c): Scene(a, c) for a in Algorithm for c in Compression}


@pytest.mark.parametrize("scene", SCENES.values(), ids=[f"{a.name}-{c.name}" for a, c in SCENES])
def test_without_a_flipped_bit_everything_is_read(scene: Scene) -> None:
    assert scene.read_everything() == (CATALOG, CONTENT)


@pytest.mark.parametrize("which", range(5), ids=["manifest", "whitelist", "certificate", "catalog", "file"])
@given(scene=st.sampled_from(list(SCENES.values())), data=st.data())
def test_one_flipped_bit_is_never_accepted(which: int, scene: Scene, data: st.DataObject) -> None:
    path = scene.paths[which]
    truth = scene.repository.served(path)
    bit = data.draw(st.integers(0, 8 * len(truth) - 1), label="bit")
    expected: type[SwrepoError] = TrustError if which < 2 else CorruptObject
    scene.repository.lies[path] = lambda stored: flipped(stored, bit)
    try:
        with pytest.raises(expected):
            scene.read_everything()
    finally:
        del scene.repository.lies[path]
