"""Which container image is meant on a command line, and what is said of it in the end."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swrepo.cli.describe import printable
from swrepo.errors import NotFound, UsageError
from swrepo.format.paths import normalise
from swrepo.publish.image_archive import archive
from swrepo.publish.image_ingestion import ImageIngestion
from swrepo.publish.image_registry import Reference, registry
from swrepo.publish.image_source import ImageSource, layout_directory
from swrepo.publish.layout import RepositoryPlaces

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_SCHEME = "docker://"


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[ImageSource]:
    """What holds the image. NotFound, UsageError."""
    if args.image.startswith(_SCHEME):
        reference = Reference.parse(args.image.removeprefix(_SCHEME))
        found = registry(reference, _credentials(args.credentials), plain_http=args.plain_http)
        try:
            yield found
        finally:
            found.client.close()
        return
    path = Path(args.image)
    if path.is_dir():
        yield layout_directory(path)
    elif path.exists():
        yield archive(path)
    else:
        raise NotFound(f"there is no image {path}; one in a registry is written {_SCHEME}HOST/NAME:TAG")


def _credentials(name: str | None) -> str:
    if name is None:
        return ""
    try:
        text = Path(name).read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(f"cannot read the credentials in {name}: {error.strerror}") from error
    if ":" not in text or "\n" in text:
        raise UsageError(f"{name} holds no USER:PASSWORD in one line")
    return text


def this_platform() -> str:
    """Such as this machine."""
    machine = platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def path_of(base: str | None, name: str) -> bytes:
    """Where the image is to be found in the repository: where one says, else by its name."""
    if base is not None:
        return normalise(base)
    if not name:
        raise UsageError("the image has no name of its own; say where it shall be found (-b PATH)")
    return normalise(name)


def tell(places: RepositoryPlaces, ingestion: ImageIngestion) -> None:
    """Where it is, and what was new."""
    layers = len(ingestion.image.manifest.layers)
    where = printable(ingestion.name)
    print(f"{places.fqrn}: the image is at {where}; {ingestion.fetched} of its {layers} layers were new")
