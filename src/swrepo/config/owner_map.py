"""A map of owners: CVMFS_UID_MAP and CVMFS_GID_MAP, of clients and of publishers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.errors import ConfigError

_LARGEST_ID = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class OwnerMap:
    """Numbers -> other numbers; `others` stands for those that are not listed (None: they stay)."""

    listed: Mapping[int, int] = field(default_factory=dict)
    others: int | None = None

    def __call__(self, number: int) -> int:
        found = self.listed.get(number, self.others)
        return number if found is None else found


def read_map(path: Path) -> OwnerMap:
    """Lines `FROM TO`; `* TO` for all others; comments begin with #."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the map of owners {path}: {error.strerror}") from error
    listed: dict[int, int] = {}
    others: int | None = None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not _is_id(words[1]) or not (words[0] == "*" or _is_id(words[0])):
            raise ConfigError(f"{path}, line {number}: {line.strip()!r} is not FROM TO (numbers; * for others)")
        if words[0] == "*":
            others = int(words[1])
        else:
            listed[int(words[0])] = int(words[1])
    return OwnerMap(listed, others)


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 10 and int(word) <= _LARGEST_ID
