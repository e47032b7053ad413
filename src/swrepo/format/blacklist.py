"""The blacklist: certificates and old revisions that a client refuses. Source: format.md 4, "Blacklist"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from swrepo.errors import FormatError
from swrepo.format.fields import number
from swrepo.format.whitelist import Fingerprint


@dataclass(frozen=True, slots=True)
class Blacklist:
    """Refused fingerprints, and per repository the first revision that is not refused."""

    fingerprints: frozenset[Fingerprint] = frozenset()
    first_revisions: Mapping[str, int] = field(default_factory=dict)


def parse(text: str) -> Blacklist:
    """Read the file's lines: `AA:BB:...`, or `<fqrn N` for every revision below N; `#` starts a comment."""
    fingerprints: set[Fingerprint] = set()
    revisions: dict[str, int] = {}
    for line in text.splitlines():
        entry = line.split("#", maxsplit=1)[0].strip()
        if entry.startswith("<"):
            fqrn, revision = _revision_rule(entry)
            revisions[fqrn] = max(revision, revisions.get(fqrn, 0))
        elif entry:
            fingerprints.add(Fingerprint.parse(entry.split()[0]))
    return Blacklist(frozenset(fingerprints), MappingProxyType(revisions))


def _revision_rule(entry: str) -> tuple[str, int]:
    words = entry[1:].split()
    if len(words) != 2:
        raise FormatError(f"blacklist: expected '<NAME REVISION', not {entry[:90]!r}")
    return words[0], number(words[1], "blacklist revision")
