"""Documents of container images as values: manifests, indexes and configurations of OCI and Docker.

Source: the OCI image specification 1.1 (descriptor, manifest, image-index, config), Docker's schema 2.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from swrepo.errors import CorruptObject, FormatError, TruncatedObject

DOCUMENT_LIMIT = 4 << 20
"""Bytes of the largest manifest, index or configuration. Source: what registries should take at least."""

_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPTED = (*_MANIFESTS, *_INDEXES)
_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)"
)
_NAME = "org.opencontainers.image.ref.name"
_LONG_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by its digest. `size`: None where nobody told."""

    digest: str
    size: int | None
    media_type: str = ""
    name: str = ""
    platform: str = ""

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            raise FormatError(f"{self.digest!r} is no digest (sha256:...)")

    @property
    def hex(self) -> str:
        return self.digest.partition(":")[2]

    def check(self, data: bytes) -> bytes:
        """The same bytes, if they are those of the digest; CorruptObject."""
        checking = Checking(self)
        checking.update(data)
        checking.finish()
        return data


class Checking:
    """Follows the bytes of a blob, and says in the end whether they were those of its digest."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._hasher = hashlib.new(descriptor.digest.partition(":")[0])
        self._size = 0

    def update(self, data: bytes) -> None:
        self._hasher.update(data)
        self._size += len(data)

    def finish(self) -> None:
        """TruncatedObject, CorruptObject."""
        digest, size = self._descriptor.digest, self._descriptor.size
        if size is not None and self._size < size:
            raise TruncatedObject(f"the blob {digest} ends after {self._size:,} of {size:,} bytes")
        if self._hasher.hexdigest() != self._descriptor.hex:
            raise CorruptObject(f"the blob {digest} has other bytes than its digest says")


class Manifest(NamedTuple):
    """What an image is made of. `raw` are the bytes that its digest is of."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    raw: bytes


class Config(NamedTuple):
    """What is used of an image's configuration."""

    diff_ids: tuple[str, ...]
    environment: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    platform: str


class Saved(NamedTuple):
    """An image in the archive that `docker save` writes: file names in it."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def parse_index(data: bytes) -> tuple[Descriptor, ...] | None:
    """The manifests that an index names; None where this is none but a manifest. FormatError."""
    document = _object(data)
    kind = document.get("mediaType")
    if kind in _MANIFESTS or "manifests" not in document:
        return None
    return tuple(_descriptor(item) for item in _list(document, "manifests"))


def parse_manifest(data: bytes) -> Manifest:
    """FormatError where it is none of a file system."""
    document = _object(data)
    if document.get("schemaVersion") == 1:
        raise FormatError("the image has a manifest of schema 1, which is outdated; push it anew")
    if not isinstance(document.get("config"), dict):
        raise FormatError("the image's manifest names no configuration")
    layers = tuple(_descriptor(item) for item in _list(document, "layers"))
    for layer in layers:
        if not _LAYER.fullmatch(layer.media_type):
            raise FormatError(f"the image's layer {layer.digest} is of the kind {layer.media_type!r}, no file system")
    return Manifest(_descriptor(document["config"]), layers, data)


def parse_config(data: bytes) -> Config:
    """FormatError."""
    document = _object(data)
    rootfs, settings = document.get("rootfs"), document.get("config") or {}
    if not isinstance(rootfs, dict) or not isinstance(settings, dict):
        raise FormatError("the image's configuration tells of no file system")
    diff_ids = _strings(rootfs.get("diff_ids"))
    for diff_id in diff_ids:
        Descriptor(diff_id, None)
    return Config(
        diff_ids,
        _strings(settings.get("Env")),
        _strings(settings.get("Entrypoint")),
        _strings(settings.get("Cmd")),
        f"{document.get('os', '')}/{document.get('architecture', '')}",
    )


def parse_saved(data: bytes) -> tuple[Saved, ...]:
    """The manifest.json of `docker save`. FormatError."""
    try:
        found = json.loads(data)
        return tuple(
            Saved(str(item["Config"]), _strings(item["Layers"]), _strings(item.get("RepoTags"))) for item in found
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("the archive's manifest.json is none of docker save") from error


def _object(data: bytes) -> Mapping[str, Any]:
    if len(data) > DOCUMENT_LIMIT:
        raise FormatError(f"an image's document of {len(data):,} bytes; {DOCUMENT_LIMIT:,} are allowed")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("an image's document is no JSON") from error
    if not isinstance(document, dict):
        raise FormatError("an image's document is no JSON object")
    return document


def _list(document: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise FormatError(f"an image's document has no list of {key}")
    return found


def _strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FormatError("an image's document has something else where texts belong")
    return tuple(value)


def _descriptor(item: Any) -> Descriptor:
    if not isinstance(item, dict):
        raise FormatError("an image's document names a blob in no known way")
    size, notes, platform = item.get("size"), item.get("annotations") or {}, item.get("platform") or {}
    if not isinstance(size, int) or size < 0 or not isinstance(notes, dict) or not isinstance(platform, dict):
        raise FormatError("an image's document names a blob in no known way")
    where = f"{platform.get('os', '')}/{platform.get('architecture', '')}" if platform else ""
    if platform.get("variant"):
        where += f"/{platform['variant']}"
    name = notes.get(_LONG_NAME) or notes.get(_NAME) or ""
    return Descriptor(str(item.get("digest")), size, str(item.get("mediaType", "")), str(name), where)
