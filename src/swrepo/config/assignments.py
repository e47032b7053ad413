"""The text of a configuration file: shell assignments, read without a shell.

What is understood: `KEY=VALUE`, several on a line, `export`, comments, single and double quotes, backslashes, line
continuation, and `$NAME`, `${NAME}`, `${NAME:-default}` of names that were set before. Everything else that a shell
would run (commands, `$(...)`, backquotes, `if`) is refused with the line's number and never executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swrepo.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_BLANKS = " \t\r"
_SEPARATORS = _BLANKS + "\n;"
_SHELL_ONLY = frozenset("&|<>()")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `name=value`; `line` counts from 1."""

    name: str
    value: str
    line: int
    exported: bool = False


def parse(text: str, origin: str, known: Mapping[str, str] | None = None) -> tuple[Assignment, ...]:
    """Every assignment of `text`, in order. `known` holds what earlier files set, for `$NAME`.

    Raises ConfigError, which names `origin` and the line.
    """
    return tuple(_Reader(text, origin, dict(known or {})).assignments())


def quote(value: str) -> str:
    """`value` as a word that `parse` and a shell read back as it is."""
    if value and re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


class _Reader:
    """A cursor over the text."""

    def __init__(self, text: str, origin: str, values: dict[str, str]) -> None:
        self._text = text
        self._at = 0
        self._origin = origin
        self._values = values

    def assignments(self) -> Iterator[Assignment]:
        exporting = False
        while self._skip_blanks():
            if self._text[self._at] in "\n;":
                exporting = False
                self._at += 1
                continue
            line = self._line()
            name = self._name()
            if name == "export" and self._peek() in _BLANKS:
                exporting = True
                continue
            if self._peek() == "=":
                self._at += 1
                value = self._word()
                self._values[name] = value
                yield Assignment(name, value, line, exporting)
            elif not exporting:
                raise self._error(f"{name!r} is not followed by '='; a line must be KEY=VALUE")
            elif name in self._values:
                yield Assignment(name, self._values[name], line, exported=True)

    def _skip_blanks(self) -> bool:
        """Go past blanks and comments; False at the end of the text."""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text.startswith("\\\n", self._at):
                self._at += 2
            elif character in _BLANKS:
                self._at += 1
            else:
                return True
        return False

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._error(f"{self._rest_of_line()!r} is not KEY=VALUE")
        self._at = match.end()
        return match[0]

    def _word(self) -> str:
        """The value at the cursor: quoted and bare pieces up to a blank or separator."""
        pieces: list[str] = []
        while (character := self._peek(end="\n")) not in _SEPARATORS:
            if character == "'":
                pieces.append(self._single_quoted())
            elif character == '"':
                pieces.append(self._double_quoted())
            elif character in _SHELL_ONLY:
                raise self._error(f"{character!r} needs a shell, which is not used; put the value in quotes")
            else:
                pieces.append(self._bare(escapable=None))
        return "".join(pieces)

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise self._error("a single quote is not closed")
        piece = self._text[self._at + 1 : end]
        self._at = end + 1
        return piece

    def _double_quoted(self) -> str:
        opened = self._line()
        self._at += 1
        pieces: list[str] = []
        while self._at < len(self._text):
            if self._text[self._at] == '"':
                self._at += 1
                return "".join(pieces)
            pieces.append(self._bare(escapable='$`"\\'))
        raise ConfigError(f"{self._origin}, line {opened}: a double quote is not closed")

    def _bare(self, escapable: str | None) -> str:
        """One character, escape or reference; `escapable`: what a backslash takes away in double quotes (None: all)."""
        character = self._text[self._at]
        if character == "\\":
            return self._escape(escapable)
        if character == "`" or self._text.startswith("$(", self._at):
            raise self._error("a command substitution needs a shell, which is not used; write its value")
        if character == "$" and (match := _REFERENCE.match(self._text, self._at)):
            self._at = match.end()
            return self._values.get(match[1] or match[2]) or match[3] or ""
        if self._text.startswith("${", self._at):
            raise self._error(f"{self._rest_of_line()!r} needs a shell; only ${{NAME}} and ${{NAME:-default}} work")
        self._at += 1
        return character

    def _escape(self, escapable: str | None) -> str:
        following = self._text[self._at + 1 : self._at + 2]
        self._at += 1 + len(following)
        if following == "\n":
            return ""
        if not following or (escapable is not None and following not in escapable):
            return "\\" + following
        return following

    def _peek(self, end: str = " ") -> str:
        return self._text[self._at] if self._at < len(self._text) else end

    def _rest_of_line(self) -> str:
        return self._text[self._at :].partition("\n")[0][:60]

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _error(self, message: str) -> ConfigError:
        return ConfigError(f"{self._origin}, line {self._line()}: {message}")
