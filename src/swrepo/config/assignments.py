"""The text of a configuration file: what it sets, read as a shell would and without one.

What is understood: `KEY=VALUE`, several on a line, `export` and `readonly`, comments, quotes, backslashes, line
continuation; `$NAME`, `${NAME}`, `${NAME:-default}`, `:=` and `:+`; `if`, `case`, `[ ... ]`, `[[ ... ]]`, `&&`, `||`,
`!`; `. FILE`, `unset`. Everything else that a shell would run (commands, `$(...)`, backquotes, loops) is refused with
the line's number, unless it stands in a branch that is not taken. Nothing is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from swrepo.config.script import Assignment, Script, Surroundings

__all__ = ["Assignment", "Surroundings", "parse", "quote"]


def parse(
    text: str, origin: str, known: Mapping[str, str] | None = None, surroundings: Surroundings | None = None
) -> tuple[Assignment, ...]:
    """Every assignment of `text`, in order. `known` holds what earlier files set, for `$NAME`.

    `surroundings` answers `[ -f FILE ]` and `. FILE`; without them there are no files. Raises ConfigError, which names
    `origin` and the line.
    """
    return Script(text, origin, dict(known or {}), surroundings or Surroundings()).run()


def quote(value: str) -> str:
    """`value` as a word that `parse` and a shell read back as it is."""
    if value and re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
