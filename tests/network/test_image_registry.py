"""Images come out of registries: with tokens where they are asked for, over redirects, and believed only by their digests."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from swrepo.errors import CorruptObject, NotFound, PermissionRefused, Unreachable
from swrepo.publish.image_ingestion import ImageIngestion
from swrepo.publish.image_registry import Reference, registry
from swrepo.publish.image_source import chosen
from tests.archives import item, shown, tar
from tests.images import FakeRegistry, made
from tests.publishing import Server

LAYERS = (tar(item("etc/a", content=b"1")), tar(item("etc/b", content=b"2" * 100_000)))


@contextmanager
def pulling(fake, what="some/app:1", credentials=""):
    with fake.running() as host:
        source = registry(Reference.parse(f"{host}/{what}"), credentials)
        try:
            yield source
        finally:
            source.client.close()


def fake(**options):
    image = made(*LAYERS)
    return FakeRegistry(image, {"1": image.blobs[image.manifest["digest"]]}, **options)


@pytest.mark.parametrize("redirects", [False, True])
@pytest.mark.parametrize("password", ["", "user:secret"])
def test_an_image_is_pulled_and_its_layers_only_once(tmp_path, password, redirects):
    server, found = Server(tmp_path), fake(password=password, redirects=redirects)
    with pulling(found, credentials=password) as source:
        image = chosen(source, "", "linux/amd64")
        ingestion = ImageIngestion(source, image, b"/app")
        server.publisher().publish_archives(server.fqrn, ingestion)
        assert shown(server)[ingestion.flat + b"/etc/a"] == b"1"
        asked = len(found.asked)
        server.publisher().publish_archives(server.fqrn, ImageIngestion(source, image, b"/other"))
        assert len(found.asked) == asked
    assert image.name == f"{found.host}/some/app:1"


def test_an_image_may_be_named_by_its_digest():
    found = fake()
    digest = found.image.manifest["digest"]
    with pulling(found, f"some/app@{digest}") as source:
        assert chosen(source, "", "linux/amd64").manifest.raw == found.image.blobs[digest]


def test_an_index_leads_to_the_image_for_this_platform():
    found = fake()
    other = found.image.index({**found.image.manifest, "platform": {"os": "linux", "architecture": "arm64"}})
    found.tags["many"] = other
    with pulling(found, "some/app:many") as source:
        assert len(chosen(source, "", "linux/arm64").manifest.layers) == 2
        with pytest.raises(NotFound, match="not there for linux/amd64, but for linux/arm64"):
            chosen(source, "", "linux/amd64")


def test_a_registry_that_lies_is_found_out(tmp_path):
    server, found = Server(tmp_path), fake()
    before = server.manifest()
    found.corrupt = set(found.image.blobs)
    with pulling(found) as source, pytest.raises(CorruptObject, match="other bytes than its digest says"):
        chosen(source, "", "linux/amd64")
    found.corrupt = {list(found.image.blobs)[-2]}  # the last layer
    with pulling(found) as source:
        bring = ImageIngestion(source, chosen(source, "", "linux/amd64"), b"/app")
        with pytest.raises(CorruptObject):
            server.publisher().publish_archives(server.fqrn, bring)
    digest = found.image.manifest["digest"]
    found.tags[digest] = found.image.blobs[digest] + b" "
    with pulling(found, f"some/app@{digest}") as source, pytest.raises(CorruptObject):
        chosen(source, "", "linux/amd64")
    assert server.manifest() == before


def test_what_a_registry_refuses_says_what_to_do():
    with (
        pulling(fake(), "some/app:2") as source,
        pytest.raises(NotFound, match=r"no such image or blob: .*some/app/manifests/2"),
    ):
        chosen(source, "", "linux/amd64")
    for credentials in ("", "user:wrong"):
        with (
            pulling(fake(password="user:secret"), credentials=credentials) as source,
            pytest.raises(PermissionRefused, match="--credentials"),
        ):
            chosen(source, "", "linux/amd64")
    with fake().running() as host:
        pass
    source = registry(Reference.parse(f"{host}/some/app:1"))
    with pytest.raises(Unreachable):
        chosen(source, "", "linux/amd64")
    source.client.close()
