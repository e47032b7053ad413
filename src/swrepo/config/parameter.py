"""One parameter of the client: what it means, what holds without it, and what becomes of it here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_OFF = frozenset({"", "no", "off", "0", "false"})


class Standing(Enum):
    """What this client does about a parameter."""

    HONOURED = "honoured"
    ACCEPTED = "no effect"
    """Known and without effect, because what it tunes does not exist here or needs no tuning."""
    REFUSED = "refused"
    """An error, because going on without it would be wrong."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the table. A `*` in `name` stands for a name that the administrator chose.

    `default` is the value that holds when nothing sets it; where that is no value but a rule, `otherwise` says it.
    `reason` says why a parameter is not honoured.
    """

    name: str
    kind: str
    default: str
    meaning: str
    otherwise: str = ""
    standing: Standing = Standing.HONOURED
    reason: str = ""

    def matches(self, name: str) -> bool:
        """Whether the row is about `name`."""
        if "*" not in self.name:
            return self.name == name
        return re.fullmatch(re.escape(self.name).replace(r"\*", "[A-Za-z0-9_]+"), name) is not None

    def asks_for_nothing(self, value: str) -> bool:
        """Whether `value` is what holds anyway, so that nobody misses anything where it has no effect."""
        plain = value.strip().lower()
        return plain == self.default.lower() or (plain in _OFF and self.default.lower() in _OFF)


def accepted(name: str, kind: str, default: str, meaning: str, reason: str) -> Parameter:
    """A row without effect here."""
    return Parameter(name, kind, default, meaning, standing=Standing.ACCEPTED, reason=reason)


def refused(name: str, kind: str, default: str, meaning: str, reason: str) -> Parameter:
    """A row that is an error when it asks for something."""
    return Parameter(name, kind, default, meaning, standing=Standing.REFUSED, reason=reason)
