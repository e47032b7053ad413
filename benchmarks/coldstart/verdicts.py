"""The table of targets: what of them the results meet, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.coldstart.clients import NEIGHBOURS, ORIGINAL, PLAIN, PROFILE
from benchmarks.coldstart.programs import PROGRAMS
from benchmarks.coldstart.results import Results, Row

FAR = 100.0, 100.0
LAN = 1.0, 1000.0
_TO_ORIGINAL, _TO_LIMIT, _TO_ORIGINAL_NEAR = 0.35, 1.5, 0.7
_WASTE, _WASTE_WITH_PROFILE = 0.30, 0.05
_NOISE = 1.05
"""What two measurements of the same may differ by."""


class Verdict(NamedTuple):
    """A row of the table: whether `value` is at most `target`."""

    program: str
    what: str
    value: float
    target: float
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.value <= self.target

    def __str__(self) -> str:
        number = (
            f"{self.value:8.0%} {self.target:7.0%}"
            if self.unit == "%"
            else f"{self.value:7.2f}{self.unit} {self.target:6.2f}{self.unit}"
        )
        return f"  {self.program:10} {self.what:58} {number}  {'pass' if self.is_met else 'MISS'}"


def verdicts(results: Results) -> Iterator[Verdict]:
    """Of all programs that were measured; what was not is not in the table."""
    for name, program in PROGRAMS.items():
        if name in results.needs:
            yield from _far(results, name, is_guesswork=program.is_guesswork)
            yield from _near(results, name)
    if results.repeated is not None:
        yield Verdict("node", "20 clients, one proxy: objects that left the server twice", results.repeated, 0, "")


def _far(results: Results, name: str, *, is_guesswork: bool) -> Iterator[Verdict]:
    def find(client: str) -> Row | None:
        return results.find(name, client, *FAR)

    original, plain, neighbours, profile = map(find, (ORIGINAL, PLAIN, NEIGHBOURS, PROFILE))
    if neighbours is not None:
        if is_guesswork and plain is not None:
            yield Verdict(name, "no profile, to no prefetch", neighbours.seconds / plain.seconds, _NOISE)
        elif original is not None:
            yield Verdict(name, "no profile, to the original", neighbours.seconds / original.seconds, _TO_ORIGINAL)
        yield Verdict(name, "no profile: bytes beyond those needed", results.waste(neighbours), _WASTE, "%")
    if profile is not None:
        yield Verdict(name, "with a profile, to the limit of the link", results.to_limit(profile), _TO_LIMIT)
        yield Verdict(name, "with a profile: bytes beyond", results.waste(profile), _WASTE_WITH_PROFILE, "%")


def _near(results: Results, name: str) -> Iterator[Verdict]:
    original = results.find(name, ORIGINAL, *LAN)
    for client in (NEIGHBOURS, PROFILE):
        row = results.find(name, client, *LAN)
        if row is not None and original is not None:
            yield Verdict(name, f"LAN, {client}, to the original", row.seconds / original.seconds, _TO_ORIGINAL_NEAR)
