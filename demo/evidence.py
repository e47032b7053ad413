"""Looks at the disks of both machines from outside: what was stored, what was fetched, whether it is the same."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory with all it holds: number of files and their bytes."""

    files: int
    size: int

    @classmethod
    def of(cls, root: Path) -> Tree:
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return cls(len(files), sum(path.stat().st_size for path in files))


@dataclass(frozen=True, slots=True)
class Fetched:
    """Objects of one repository that the client's cache holds: how many, their bytes on the wire and unpacked.

    `equal` is how many of them are, unpacked, exactly what the server has under that name, whose hash the name is.
    """

    objects: int = 0
    wire: int = 0
    plain: int = 0
    equal: int = 0

    @classmethod
    def compare(cls, storage: Path, cache: Path) -> Fetched:
        objects = wire = plain = equal = 0
        for stored in (storage / "data").glob("[0-9a-f][0-9a-f]/*"):
            digest = stored.name.rstrip("CHXMP")
            cached = cache / stored.parent.name / digest
            if not cached.is_file():
                continue
            raw, unpacked = stored.read_bytes(), cached.read_bytes()
            objects, wire, plain = objects + 1, wire + len(raw), plain + len(unpacked)
            name_fits = hashlib.sha1(raw, usedforsecurity=False).hexdigest() == stored.parent.name + digest
            equal += name_fits and zlib.decompress(raw) == unpacked
        return cls(objects, wire, plain, equal)
