"""Where images come from: directories and archives on disk. Registries: publish.image_registry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from swrepo.errors import FormatError, NotFound
from swrepo.format.image import (
    DOCUMENT_LIMIT,
    Checking,
    Config,
    Descriptor,
    Manifest,
    parse_config,
    parse_index,
    parse_manifest,
)
from swrepo.publish.member import Read

_BLOCK = 1 << 20
_MOST_NESTED = 4
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class Image(NamedTuple):
    """An image whose manifest and configuration are verified. `config_raw` are the bytes that its digest is of."""

    manifest: Manifest
    config: Config
    config_raw: bytes
    name: str


class Blobs(Protocol):
    """Bytes by digests."""

    def read(self, descriptor: Descriptor) -> AbstractContextManager[Read]:
        """The unverified bytes of a blob. NotFound, Unreachable."""
        ...


class ImageSource(Blobs, Protocol):
    """What holds an image."""

    def root(self) -> tuple[Descriptor, ...]:
        """What it holds: manifests or indexes, with their names."""
        ...


@contextmanager
def verified(blobs: Blobs, descriptor: Descriptor) -> Iterator[Read]:
    """The bytes of a blob; CorruptObject at the end of the block where they are not those of its digest."""
    with blobs.read(descriptor) as read:
        checking = Checking(descriptor)

        def checked(size: int) -> bytes:
            data = read(size)
            checking.update(data)
            return data

        try:
            yield checked
        except FormatError:
            _drain(checked)
            checking.finish()  # damaged on its way, then; else it was made so
            raise
        _drain(checked)
        checking.finish()


def _drain(read: Read) -> None:
    """What nobody needs belongs to the digest too."""
    while read(_BLOCK):
        pass


def document(blobs: Blobs, descriptor: Descriptor) -> bytes:
    """A whole small blob, verified. FormatError where it is too large for a document."""
    if (descriptor.size or 0) > DOCUMENT_LIMIT:
        raise FormatError(f"{descriptor.digest} has {descriptor.size:,} bytes, too many for a document of an image")
    with verified(blobs, descriptor) as read:
        return whole(read, descriptor.digest)


def whole(read: Read, what: str) -> bytes:
    """All that comes, which must not be more than a document may have."""
    data = b""
    while part := read(DOCUMENT_LIMIT + 1 - len(data)):
        data += part
        if len(data) > DOCUMENT_LIMIT:
            raise FormatError(f"{what} has more than {DOCUMENT_LIMIT:,} bytes, too many for a document of an image")
    return data


def chosen(source: ImageSource, wanted: str, platform: str) -> Image:
    """The image of that name (where `wanted` is given) for that platform. NotFound names what there is."""
    found = _one(source.root(), wanted)
    name = found.name
    for _ in range(_MOST_NESTED):
        raw = document(source, found)
        manifests = parse_index(raw)
        if manifests is None:
            manifest = parse_manifest(raw)
            config_raw = document(source, manifest.config)
            config = parse_config(config_raw)
            _check(manifest, config)
            return Image(manifest, config, config_raw, wanted or name)
        found = _for_platform(manifests, platform)
    raise FormatError("the image's indexes name indexes without end")


def _one(candidates: tuple[Descriptor, ...], wanted: str) -> Descriptor:
    fitting = [item for item in candidates if wanted in (item.name, item.digest)] if wanted else list(candidates)
    if len({item.digest for item in fitting}) == 1:
        return fitting[0]
    names = ", ".join(item.name or item.digest for item in candidates[:20])
    if wanted:
        raise NotFound(f"there is no image {wanted}; there is {names or 'none at all'}")
    raise NotFound(f"which image? There are several: {names}; name one (--ref)" if names else "there is no image")


def _for_platform(manifests: tuple[Descriptor, ...], platform: str) -> Descriptor:
    exact = [item for item in manifests if item.platform == platform]
    near = [item for item in manifests if item.platform.startswith(f"{platform}/")]
    if exact or near:
        return (exact or near)[0]
    if len(manifests) == 1 and not manifests[0].platform:
        return manifests[0]
    known = ", ".join(sorted({item.platform for item in manifests if item.platform}))
    raise NotFound(f"the image is not there for {platform}, but for {known or 'none'} (--platform)")


def _check(manifest: Manifest, config: Config) -> None:
    if len(config.diff_ids) != len(manifest.layers):
        raise FormatError(
            f"the image's manifest names {len(manifest.layers)} layers and its configuration {len(config.diff_ids)}"
        )


class Layout:
    """An ImageSource over an OCI image layout. `open_file` gives the file of a name in it; NotFound."""

    def __init__(self, open_file: Callable[[str], AbstractContextManager[Read]]) -> None:
        self._open = open_file

    def root(self) -> tuple[Descriptor, ...]:
        """See ImageSource."""
        with self._open("oci-layout") as read:
            try:
                version = json.loads(whole(read, "oci-layout"))["imageLayoutVersion"]
            except (ValueError, KeyError, TypeError) as error:
                raise FormatError("the file oci-layout says nothing") from error
        if not str(version).startswith("1."):
            raise FormatError(f"an image layout of the version {version}; those that begin with 1. are known")
        with self._open("index.json") as read:
            found = parse_index(whole(read, "index.json"))
        if found is None:
            raise FormatError("index.json is no index of images")
        return found

    def read(self, descriptor: Descriptor) -> AbstractContextManager[Read]:
        """See Blobs."""
        algorithm, _, digits = descriptor.digest.partition(":")
        return self._open(f"blobs/{algorithm}/{digits}")


def layout_directory(path: Path) -> Layout:
    """An image layout in a directory."""

    @contextmanager
    def open_file(name: str) -> Iterator[Read]:
        try:
            file = (path / name).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"the image layout {path} has no {name}") from error
        with file:
            yield file.read

    return Layout(open_file)
