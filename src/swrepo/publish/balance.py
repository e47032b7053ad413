"""Where a catalog that has grown too large is cut: which directories in it get catalogs of their own.

A catalog is cut only when it has more than `most` entries, and then until no directory holds more than half of that in
one catalog; a catalog that the balancer made is dissolved only when it has fewer than `least`. Between these bounds
nothing moves, so that a tree that grows a little keeps its catalogs from revision to revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from swrepo.catalog.writer import CatalogWriter
from swrepo.errors import ConfigError
from swrepo.format.paths import PathKey, join, path_key

DEFAULT_MOST = 100_000
DEFAULT_LEAST = 1_000
"""Entries. Source: features.md 9."""

_LAST_RESORT = 10
"""Where nothing better can be cut out, catalogs of that part of `least` are still better than one too large."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Bounds for the entries of a catalog: `CVMFS_AUTOCATALOGS_MAX_WEIGHT` and `_MIN_WEIGHT`."""

    most: int = DEFAULT_MOST
    least: int = DEFAULT_LEAST

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.aim:
            raise ConfigError(
                f"catalogs of at least {self.least} and at most {self.most} entries cannot be made: "
                "the minimum must be above 0 and no more than half of the maximum"
            )

    @property
    def aim(self) -> int:
        """Entries that a directory holds in one catalog once it was cut."""
        return self.most // 2


@dataclass(slots=True)
class _Directory:
    """A directory of the catalog; `weight` counts it and what is below it in this catalog."""

    path: bytes
    weight: int = 1
    children: list[_Directory] = field(default_factory=list)
    is_border: bool = False
    """Another catalog begins here, or will."""


def cuts(writer: CatalogWriter, weights: Weights) -> list[bytes]:
    """The directories to cut out, inner ones first; nothing where the catalog is not too large.

    What remains may still be too large: a directory of very many files cannot be cut.
    """
    if writer.entries <= weights.most:
        return []
    found: list[bytes] = []
    for directory in _bottom_up(writer):
        directory.weight += sum(child.weight for child in directory.children)
        if directory.weight > weights.aim:
            found.extend(_cut(directory, weights))
    return found


def _cut(directory: _Directory, weights: Weights) -> Iterator[bytes]:
    """The heaviest first; of equal ones the first by name, so that the choice is always the same."""
    children = sorted((child for child in directory.children if not child.is_border), key=_rank)
    for child in children:
        last_resort = max(2, weights.least // _LAST_RESORT)
        enough = weights.aim if child.weight >= weights.least else weights.most
        if directory.weight <= enough or child.weight < last_resort:
            return
        directory.weight -= child.weight - 1
        child.is_border = True
        yield child.path


def _rank(directory: _Directory) -> tuple[int, bytes]:
    return -directory.weight, directory.path


def _bottom_up(writer: CatalogWriter) -> Iterator[_Directory]:
    """Every directory of the catalog after those in it; weights without what the directories below add."""
    top, top_key = _Directory(writer.root_prefix), path_key(writer.root_prefix)
    waiting: dict[PathKey, list[tuple[PathKey, bytes, bool]]] = {}
    for key, above, name, is_border in writer.directories():
        if key != top_key:
            waiting.setdefault(above, []).append((key, name, is_border))
    sizes = writer.sizes()
    order = [(top_key, top)]
    for key, directory in order:  # grows while it is gone through: a tree may be deeper than Python's stack
        inner = waiting.pop(key, [])
        directory.weight += sizes.get(key, 0) - len(inner)
        for child_key, name, is_border in inner:
            child = _Directory(join(directory.path, name), is_border=is_border)
            directory.children.append(child)
            order.append((child_key, child))
    for _, directory in reversed(order):
        yield directory
