"""The table: a line for each row and phase, with ratios, the target, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.reading.rows import Base, Phase, Target

_HEAD = (
    "",
    "",
    "native",
    "swrepo",
    "original",
    "x nat.",
    "x orig.",
    "cpu",
    "cpu o.",
    "requests",
    "MB",
    "MB o.",
    "target",
    "",
)
_WIDTHS = (30, 9, 8, 8, 8, 7, 7, 7, 7, 9, 5, 6, 28, 4)


@dataclass(slots=True)
class Line:
    """Seconds (or megabytes, where the target is in those) of each; None: not measured.

    `processor`: seconds of processor time that the process of the mount used for it.
    """

    what: str
    phase: Phase | None = None
    target: Target | None = None
    native: float | None = None
    ours: float | None = None
    original: float | None = None
    processor: float | None = None
    processor_original: float | None = None
    requests: int | None = None
    memory: float | None = None
    memory_original: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `MISS`, or nothing where there is no target or nothing to compare with."""
        target, ours = self.target, self.ours
        if target is None or ours is None:
            return ""
        base = {Base.NATIVE: self.native, Base.ORIGINAL: self.original}.get(target.base, 1.0)
        if base is None:
            return ""
        is_met = ours <= target.limit * base and not (target.silent and self.requests)
        return "ok" if is_met else "MISS"

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.phase or "",
            _number(self.native),
            _number(self.ours),
            _number(self.original),
            _ratio(self.ours, self.native),
            _ratio(self.ours, self.original),
            _number(self.processor),
            _number(self.processor_original),
            "" if self.requests is None else f"{self.requests:,}",
            "" if self.memory is None else f"{self.memory:.0f}",
            "" if self.memory_original is None else f"{self.memory_original:.0f}",
            self.note or _wanted(self.target),
            self.verdict,
        )


def heading(title: str) -> None:
    """Begin the part of a tree."""
    print(f"\n{title}", flush=True)
    _print(_HEAD)


def show(line: Line) -> Line:
    """Print a line as soon as it is measured."""
    _print(line.cells())
    return line


def summary(lines: list[Line]) -> None:
    """How many targets hold, and which do not."""
    misses = [line for line in lines if line.verdict == "MISS"]
    met = sum(line.verdict == "ok" for line in lines)
    print(
        f"\n{met} targets hold, {len(misses)} do not, {sum(not line.verdict for line in lines)} lines have none here."
    )


def _print(cells: tuple[str, ...]) -> None:
    left = (0, 1, 12, 13)
    parts = [
        f"{cell:<{width}}" if index in left else f"{cell:>{width}} "
        for index, (cell, width) in enumerate(zip(cells, _WIDTHS, strict=True))
    ]
    print("".join(parts).rstrip(), flush=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 100 else f"{value:.0f}"


def _ratio(value: float | None, base: float | None) -> str:
    return "" if value is None or not base else f"{value / base:.2f}"


def _wanted(target: Target | None) -> str:
    if target is None:
        return ""
    return f"<= {target.limit:g} {target.base}" + (", 0 requests" if target.silent else "")
