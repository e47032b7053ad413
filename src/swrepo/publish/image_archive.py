"""Images in tar archives: of an image layout, or as `docker save` wrote them before that. Nothing is unpacked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from swrepo.errors import FormatError, NotFound
from swrepo.format.image import Descriptor, Saved, parse_config, parse_saved
from swrepo.publish.image_source import ImageSource, Layout, whole
from swrepo.publish.member import Read
from swrepo.publish.tar_stream import TarStream
from swrepo.publish.unpacking import unpacked

_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(slots=True)
class TarFiles:
    """Files of a tar archive by their names, without unpacking it. Compressed, it is read anew for each of them."""

    path: Path
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)
    _is_plain: bool = True

    def __post_init__(self) -> None:
        with self.path.open("rb") as file:
            plain = unpacked(file.read)
            self._is_plain = not plain.is_sealed
            for member in TarStream(plain.read, plain.is_sealed):
                name = _clean(member.name)
                if member.link:
                    above = "" if member.is_link else name.rpartition("/")[0]
                    self._links[name] = _joined(above, member.link)
                else:
                    self._places[name] = (file.tell(), member.size)

    def has(self, name: str) -> bool:
        return self._resolved(name) in self._places

    @contextmanager
    def open(self, name: str) -> Iterator[Read]:
        """NotFound."""
        name = self._resolved(name)
        if name not in self._places:
            raise NotFound(f"the archive {self.path} has no {name}")
        with self.path.open("rb") as file:
            if self._is_plain:
                offset, size = self._places[name]
                file.seek(offset)
                yield _bounded(file.read, size)
                return
            plain = unpacked(file.read)
            for member in TarStream(plain.read, plain.is_sealed):
                if _clean(member.name) == name:
                    yield member.content.read
                    return

    def size(self, name: str) -> int:
        """Bytes of a file. NotFound."""
        name = self._resolved(name)
        if name not in self._places:
            raise NotFound(f"the archive {self.path} has no {name}")
        return self._places[name][1]

    def _resolved(self, name: str) -> str:
        for _ in range(8):
            name = self._links.get(name, name)
        return name


def archive(path: Path) -> ImageSource:
    """An archive of an image layout, or one that `docker save` wrote."""
    files = TarFiles(path)
    if files.has("index.json"):
        return Layout(files.open)
    if files.has("manifest.json"):
        return SavedImages(files)
    raise FormatError(f"{path} is no archive of an image: it has neither index.json nor manifest.json")


class SavedImages:
    """An ImageSource over what `docker save` wrote before it was an image layout: digests are those of plain layers."""

    def __init__(self, files: TarFiles) -> None:
        self._files = files
        self._names: dict[str, str] = {}
        self._made: dict[str, bytes] = {}

    def root(self) -> tuple[Descriptor, ...]:
        """See ImageSource."""
        with self._files.open("manifest.json") as read:
            saved = parse_saved(whole(read, "manifest.json"))
        return tuple(found for item in saved for found in self._manifests(item))

    @contextmanager
    def read(self, descriptor: Descriptor) -> Iterator[Read]:
        """See Blobs."""
        made = self._made.get(descriptor.digest)
        if made is not None:
            yield _bounded(_reader(made), len(made))
            return
        with self._files.open(self._names.get(descriptor.digest, descriptor.digest)) as read:
            yield read

    def _manifests(self, saved: Saved) -> Iterator[Descriptor]:
        """A manifest such as a registry would have, which the archive lacks."""
        with self._files.open(saved.config) as read:
            config_raw = whole(read, saved.config)
        config = parse_config(config_raw)
        if len(config.diff_ids) != len(saved.layers):
            raise FormatError("the archive's manifest.json names other layers than the configuration")
        digest = f"sha256:{hashlib.sha256(config_raw).hexdigest()}"
        named = saved.config.rpartition("/")[2].partition(".")[0]
        if len(named) == 64 and named != digest.partition(":")[2]:
            Descriptor(f"sha256:{named}", None).check(config_raw)
        self._names[digest] = saved.config
        self._names.update(zip(config.diff_ids, saved.layers, strict=True))
        layers = [
            {"mediaType": _LAYER, "digest": item, "size": self._files.size(self._names[item])}
            for item in config.diff_ids
        ]
        raw = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": digest,
                    "size": len(config_raw),
                },
                "layers": layers,
            },
            indent=1,
        ).encode()
        made = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self._made[made] = raw
        for tag in saved.tags or ("",):
            yield Descriptor(made, len(raw), name=tag)


def _reader(data: bytes) -> Read:
    return BytesIO(data).read


def _bounded(read: Read, size: int) -> Read:
    left = size

    def some(wanted: int) -> bytes:
        nonlocal left
        data = read(min(wanted, left))
        left -= len(data)
        return data

    return some


def _clean(name: bytes) -> str:
    return "/".join(part for part in name.decode("utf-8", "surrogateescape").split("/") if part not in ("", "."))


def _joined(above: str, link: bytes) -> str:
    parts = above.split("/") if above else []
    for part in link.decode("utf-8", "surrogateescape").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
