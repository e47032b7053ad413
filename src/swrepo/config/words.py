"""Words of a configuration file: quotes, backslashes and references to names, as a shell reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from swrepo.errors import ConfigError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BLANKS = " \t\r"
SEPARATORS = BLANKS + "\n;"
_PLAIN = re.compile(r"[A-Za-z0-9_./,:@%+-]+")
"""Characters that stand for themselves wherever they stand in a word."""
_OPERATORS = (":-", ":=", ":+", "-", "=", "+")
_SHELL_ONLY = frozenset("&|<>()")
_DEEPEST = 20


class Word(NamedTuple):
    """A word after expansion. `is_plain`: nothing in it was quoted."""

    value: str
    is_plain: bool


class Cursor:
    """A place in a text, with errors that name it. `origin` is the file."""

    def __init__(self, text: str, origin: str) -> None:
        self.text = text
        self.at = 0
        self.origin = origin

    def peek(self, end: str = "\n") -> str:
        """The character here; `end` at the end of the text."""
        return self.text[self.at] if self.at < len(self.text) else end

    def sees(self, piece: str) -> bool:
        """Whether the text goes on with `piece`."""
        return self.text.startswith(piece, self.at)

    def skip_blanks(self) -> bool:
        """Go past blanks, comments and continued lines; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.sees("\\\n"):
                self.at += 2
            elif self.text[self.at] in BLANKS:
                self.at += 1
            else:
                return True
        return False

    def skip_lines(self, missing: str) -> None:
        """Go past blanks and empty commands; at the end of the text a ConfigError with the message `missing`."""
        while self.skip_blanks() and self.peek() in "\n;":
            self.at += 1
        if self.at >= len(self.text):
            raise self.error(missing)

    def bare_word(self) -> str:
        """The characters up to a blank or separator, as they are; nothing is read."""
        end = self.at
        while end < len(self.text) and self.text[end] not in SEPARATORS:
            end += 1
        return self.text[self.at : end]

    def expect(self, word: str) -> None:
        """Go past a word that has to be here; ConfigError."""
        if self.bare_word() != word:
            raise self.error(f"{word!r} is expected here")
        self.at += len(word)

    def line(self) -> int:
        """Counted from 1."""
        return self.text.count("\n", 0, self.at) + 1

    def rest_of_line(self) -> str:
        """For messages."""
        return self.text[self.at :].partition("\n")[0][:60]

    def error(self, message: str, line: int | None = None) -> ConfigError:
        """A ConfigError about this place."""
        return ConfigError(f"{self.origin}, line {line or self.line()}: {message}")


class WordReader:
    """Reads words at a cursor.

    `value_of` gives a name's value, or None; `assign` is what `${NAME:=value}` does. What is read while not `is_live`
    (a branch that is not taken) is not expanded, and may hold what only a shell could do.
    """

    def __init__(
        self, cursor: Cursor, value_of: Callable[[str], str | None], assign: Callable[[str, str], None]
    ) -> None:
        self._cursor = cursor
        self._value_of = value_of
        self._assign = assign
        self._depth = 0
        self.is_live = True

    def word(self, stops: str = "") -> Word:
        """Quoted and bare pieces up to a blank, a separator, `&&`, `||`, or one of `stops`."""
        cursor = self._cursor
        start, pieces, is_plain = cursor.at, list[str](), True
        while (character := cursor.peek()) not in SEPARATORS and character not in stops:
            if character in "&|" and cursor.sees(character * 2):
                break
            if character in _SHELL_ONLY and self.is_live:
                raise cursor.error(f"{character!r} needs a shell, which is not used; put the value in quotes")
            is_plain = is_plain and character not in "'\"\\"
            pieces.append(self._piece(character))
        if cursor.at == start:
            cursor.at += cursor.peek() in _SHELL_ONLY  # in a branch that is not taken: something must move on
        return Word("".join(pieces), is_plain)

    def _piece(self, character: str) -> str:
        if character == "'":
            return self._single_quoted()
        if character == '"':
            return self._double_quoted()
        return self._bare(escapable=None)

    def _single_quoted(self) -> str:
        cursor = self._cursor
        end = cursor.text.find("'", cursor.at + 1)
        if end < 0:
            raise cursor.error("a single quote is not closed")
        piece = cursor.text[cursor.at + 1 : end]
        cursor.at = end + 1
        return piece

    def _double_quoted(self) -> str:
        cursor = self._cursor
        opened = cursor.line()
        cursor.at += 1
        pieces: list[str] = []
        while cursor.at < len(cursor.text):
            if cursor.peek() == '"':
                cursor.at += 1
                return "".join(pieces)
            pieces.append(self._bare(escapable='$`"\\'))
        raise cursor.error("a double quote is not closed", opened)

    def _bare(self, escapable: str | None) -> str:
        """A character or several plain ones, an escape or a reference.

        `escapable`: what a backslash takes away in double quotes (None: all).
        """
        cursor = self._cursor
        character = cursor.peek()
        if character == "\\":
            return self._escape(escapable)
        if character == "`" or cursor.sees("$("):
            return self._command()
        if cursor.sees("${"):
            return self._expansion()
        if character == "$" and (match := NAME.match(cursor.text, cursor.at + 1)):
            cursor.at = match.end()
            return self._value_of(match[0]) or ""
        plain = _PLAIN.match(cursor.text, cursor.at)
        cursor.at = plain.end() if plain else cursor.at + 1
        return plain[0] if plain else character

    def _escape(self, escapable: str | None) -> str:
        cursor = self._cursor
        following = cursor.text[cursor.at + 1 : cursor.at + 2]
        cursor.at += 1 + len(following)
        if following == "\n":
            return ""
        if not following or (escapable is not None and following not in escapable):
            return "\\" + following
        return following

    def _command(self) -> str:
        cursor = self._cursor
        if self.is_live:
            raise cursor.error("a command substitution needs a shell, which is not used; write its value")
        if cursor.peek() == "`":
            end = cursor.text.find("`", cursor.at + 1)
            cursor.at = len(cursor.text) if end < 0 else end + 1
            return ""
        depth = 0
        while cursor.at < len(cursor.text):
            depth += {"(": 1, ")": -1}.get(cursor.peek(), 0)
            cursor.at += 1
            if depth == 0 and cursor.text[cursor.at - 1] == ")":
                break
        return ""

    def _expansion(self) -> str:
        """`${NAME}`, `${NAME:-word}` and its relatives."""
        cursor = self._cursor
        match = NAME.match(cursor.text, cursor.at + 2)
        operator = next((known for known in _OPERATORS if match and cursor.text.startswith(known, match.end())), "")
        if match is None or not (operator or cursor.text.startswith("}", match.end())):
            known = "${NAME}, ${NAME:-default}, ${NAME:=default} and ${NAME:+other}"
            raise cursor.error(f"{cursor.rest_of_line()!r} needs a shell; only {known} work")
        value = self._value_of(match[0])
        cursor.at = match.end() + len(operator)
        is_missing = value is None or (value == "" and operator.startswith(":"))
        wants_other = operator.endswith("+")
        other = self._alternative(needed=is_missing != wants_other)
        if wants_other:
            return "" if is_missing else other
        if is_missing and operator.endswith("=") and self.is_live:
            self._assign(match[0], other)
        return other if is_missing else value or ""

    def _alternative(self, *, needed: bool) -> str:
        """The word up to the closing brace; where it is not `needed`, nothing in it is done."""
        cursor, opened = self._cursor, self._cursor.line()
        before, self.is_live = self.is_live, self.is_live and needed
        self._depth += 1
        if self._depth > _DEEPEST:
            raise cursor.error("too many references within one another")
        pieces: list[str] = []
        while (character := cursor.peek(end="")) != "}":
            if not character:
                raise cursor.error("'${' is not closed", opened)
            pieces.append(self._piece(character))
        cursor.at += 1
        self._depth -= 1
        self.is_live = before
        return "".join(pieces)
