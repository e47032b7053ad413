"""Findings as lines for people (in colour on a terminal) and as a document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from swrepo.cli.diagnosis.finding import Finding, State
from swrepo.cli.output import write_json

_WORDS = {State.OK: "ok", State.WARNING: "look", State.ERROR: "WRONG"}
_COLOURS = {State.OK: "32", State.WARNING: "33", State.ERROR: "31;1"}
_WIDTH = 14


def as_lines(findings: Iterable[Finding], *, only_wrong: bool) -> int:
    """A line for each as it comes, and below it what mends it; 1 where there is an error."""
    counts = dict.fromkeys(State, 0)
    for found in dict.fromkeys(findings):  # several ways may share a name or a clock
        counts[found.state] += 1
        if only_wrong and found.state is State.OK:
            continue
        print(f"{_word(found.state)} {found.area:<{_WIDTH}} {found.text}", flush=True)
        if found.mend:
            print(f"{'':6}{'':{_WIDTH}}   -> {found.mend}")
    wrong, look = counts[State.ERROR], counts[State.WARNING]
    if wrong or look:
        print(f"{wrong} thing{'' if wrong == 1 else 's'} wrong, {look} to be looked at, {counts[State.OK]} in order")
    else:
        print(f"All {counts[State.OK]} things that were looked at are in order")
    return int(wrong > 0)


def as_json(about: str | None, findings: Iterable[Finding]) -> int:
    """One document."""
    found = list(dict.fromkeys(findings))
    wrong = sum(item.state is State.ERROR for item in found)
    records = [{"area": item.area, "state": item.state.value, "text": item.text, "mend": item.mend} for item in found]
    look = sum(item.state is State.WARNING for item in found)
    write_json({"subject": about, "errors": wrong, "warnings": look, "findings": records})
    return int(wrong > 0)


def _word(state: State) -> str:
    word = f"{_WORDS[state]:<5}"
    return f"\033[{_COLOURS[state]}m{word}\033[0m" if sys.stdout.isatty() else word
