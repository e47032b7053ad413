"""`[ ... ]`, `[[ ... ]]` and `test`: whether what is in them holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from swrepo.config.words import Word

FileTest = Callable[[str, str], bool]
"""Gets the letter of a test (`f` for `-f`) and a path."""

FILE_TESTS = frozenset("defrwxsLh")
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}


class NotUnderstood(Exception):
    """The words are no test that is known."""


def holds(words: Sequence[Word], file_test: FileTest, *, patterns: bool = False) -> bool:
    """Evaluate the words between the brackets. `patterns`: bare words after `==` are patterns, as in `[[`."""
    return _Condition(words, file_test, patterns=patterns).value()


class _Condition:
    """Recursive descent over the words; everything is evaluated, for nothing here has an effect."""

    def __init__(self, words: Sequence[Word], file_test: FileTest, *, patterns: bool) -> None:
        self._words = list(words)
        self._at = 0
        self._file_test = file_test
        self._patterns = patterns

    def value(self) -> bool:
        if not self._words:
            return False
        found = self._either()
        if self._at < len(self._words):
            raise NotUnderstood(self._words[self._at].value)
        return found

    def _either(self) -> bool:
        found = self._both()
        while self._take("-o", "||"):
            found = self._both() or found
        return found

    def _both(self) -> bool:
        found = self._single()
        while self._take("-a", "&&"):
            found = self._single() and found
        return found

    def _single(self) -> bool:
        if len(self._words) - self._at > 1 and self._take("!"):
            return not self._single()
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                raise NotUnderstood("(")
            return found
        left = self._next()
        if self._words[self._at : self._at + 1] and self._is_binary(self._words[self._at].value):
            return self._compare(left)
        letter = left.value[1:]
        if len(left.value) == 2 and left.value.startswith("-") and self._at < len(self._words):
            if letter in "nz":
                return (self._next().value == "") == (letter == "z")
            if letter in FILE_TESTS:
                return self._file_test(letter, self._next().value)
        return left.value != ""

    def _is_binary(self, operator: str) -> bool:
        return operator in ("=", "==", "!=") or operator in _COMPARISONS

    def _compare(self, left: Word) -> bool:
        operator, right = self._next().value, self._next()
        if operator in _COMPARISONS:
            try:
                return _COMPARISONS[operator](int(left.value), int(right.value))
            except ValueError:
                return False
        is_pattern = self._patterns and right.is_plain
        same = fnmatchcase(left.value, right.value) if is_pattern else left.value == right.value
        return same == (operator != "!=")

    def _take(self, *operators: str) -> bool:
        if self._at < len(self._words) and self._words[self._at].value in operators:
            self._at += 1
            return True
        return False

    def _next(self) -> Word:
        if self._at >= len(self._words):
            raise NotUnderstood("the end")
        self._at += 1
        return self._words[self._at - 1]
