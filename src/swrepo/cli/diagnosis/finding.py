"""One line of a diagnosis: what was looked at, whether it is in order, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    """Works, but not as well as it could, or not for long."""

    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`area`: what was looked at, in a word. `text`: what was seen. `mend`: a command or a step that helps."""

    area: str
    state: State
    text: str
    mend: str = ""


def ok(area: str, text: str) -> Finding:
    """All is well."""
    return Finding(area, State.OK, text)


def warning(area: str, text: str, mend: str) -> Finding:
    """Somebody should look at it."""
    return Finding(area, State.WARNING, text, mend)


def error(area: str, text: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(area, State.ERROR, text, mend)
