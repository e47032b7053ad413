"""What tests of images share: images made of layers, as layouts, as docker saves them, and in a registry of our own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.archives import item, tar

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass
class Made:
    """Blobs by digest, and the descriptor of the image's manifest."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    config: bytes = b""

    def add(self, data: bytes, kind: str = "") -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def index(self, *manifests: dict[str, Any]) -> bytes:
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


def zipped(data: bytes) -> bytes:
    """The same each time."""
    return gzip.compress(data, mtime=0)


def made(*layers: bytes, pack: Any = zipped, into: Made | None = None, **settings: Any) -> Made:
    """An image of these plain layers; `settings` of its configuration."""
    image = into or Made()
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    document = {
        "os": "linux",
        "architecture": settings.pop("architecture", "amd64"),
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    image.config = json.dumps(document).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": image.add(image.config, "application/vnd.oci.image.config.v1+json"),
        "layers": [image.add(pack(layer), LAYER) for layer in layers],
    }
    image.manifest = image.add(json.dumps(manifest).encode(), MANIFEST)
    return image


def files_of_layout(image: Made, *manifests: dict[str, Any]) -> dict[str, bytes]:
    """The files of an image layout."""
    found = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": image.index(*(manifests or (image.manifest,))),
    }
    return {**found, **{f"blobs/{digest.replace(':', '/')}": data for digest, data in image.blobs.items()}}


def write_layout(directory: Path, image: Made, *manifests: dict[str, Any]) -> Path:
    for name, data in files_of_layout(image, *manifests).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def named(image: Made, name: str) -> dict[str, Any]:
    return {**image.manifest, "annotations": {"org.opencontainers.image.ref.name": name}}


def saved(image: Made, *layers: bytes, tag: str = "demo:1") -> bytes:
    """What `docker save` wrote until it wrote layouts: plain layers, the second of equal ones as a link."""
    digest = hashlib.sha256(image.config).hexdigest()
    items, names, known = [], [], {}
    for number, layer in enumerate(layers):
        name = f"{number:064x}/layer.tar"
        if layer in known:
            items.append(item(name, "l", linkname=f"../{known[layer]}"))
        else:
            known[layer] = name
            items.append(item(name, content=layer))
        names.append(name)
    manifest = [{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": names}]
    return tar(
        *items,
        item(f"{digest}.json", content=image.config),
        item("manifest.json", content=json.dumps(manifest).encode()),
    )


class FakeRegistry:
    """A registry with one repository `some/app`, which counts requests; with `password` it hands out tokens for it."""

    def __init__(self, image: Made, tags: dict[str, bytes], password: str = "", *, redirects: bool = False) -> None:
        self.image = image
        self.tags = tags
        self.password = password
        self.redirects = redirects
        self.asked: list[str] = []
        self.corrupt: set[str] = set()
        self.token = "a-token"
        self.host = ""

    def answer(self, path: str, authorization: str, host: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if path.startswith("/token?"):
            expected = f"Basic {base64.b64encode(self.password.encode()).decode()}"
            if authorization != expected or "scope=repository%3Asome%2Fapp%3Apull" not in path:
                return 401, {}, b"{}"
            return 200, {}, json.dumps({"token": self.token}).encode()
        if path.startswith("/elsewhere/"):  # a store of blobs, which takes no tokens
            assert not authorization or not self.redirects or host == self.host
            return self._blob(path.rpartition("/")[2])
        if self.password and authorization != f"Bearer {self.token}":
            challenge = f'Bearer realm="http://{host}/token",service="test",scope="repository:some/app:pull"'
            return 401, {"WWW-Authenticate": challenge}, b"{}"
        kind, _, name = path.removeprefix("/v2/some/app/").partition("/")
        if kind == "blobs":
            return (307, {"Location": f"/elsewhere/{name}"}, b"") if self.redirects else self._blob(name)
        data = self.tags.get(name) or self.image.blobs.get(name)
        if kind != "manifests" or data is None:
            return 404, {}, b"{}"
        return 200, {"Content-Type": json.loads(data)["mediaType"]}, data

    def _blob(self, digest: str) -> tuple[int, dict[str, str], bytes]:
        data = self.image.blobs.get(digest)
        if data is None:
            return 404, {}, b"{}"
        return 200, {}, data[:-1] + bytes([data[-1] ^ 1]) if digest in self.corrupt else data

    @contextmanager
    def running(self) -> Iterator[str]:
        """HOST:PORT."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = registry.answer(
                    self.path, self.headers.get("Authorization", ""), self.headers["Host"]
                )
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            self.host = f"127.0.0.1:{server.server_port}"
            yield self.host
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
