"""The commands of a configuration file, carried out on a table of values and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from swrepo.config.conditions import NotUnderstood, holds
from swrepo.config.words import NAME, Cursor, Word, WordReader

_DEEPEST = 20
_RESERVED = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})
_CONNECTORS = ("&&", "||")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `name=value`; `line` counts from 1 in the file `origin`."""

    name: str
    value: str
    line: int
    exported: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file can ask of the machine: a test of a path (`f` for `-f`), and another file's name and text to read."""

    file_test: Callable[[str, str], bool] = lambda _letter, _path: False
    source: Callable[[str], tuple[str, str] | None] = lambda _path: None


class Script:
    """One file. `values` is what is known, and is changed."""

    def __init__(
        self, text: str, origin: str, values: dict[str, str], surroundings: Surroundings, depth: int = 0
    ) -> None:
        self._cursor = Cursor(text, origin)
        self._values = values
        self._surroundings = surroundings
        self._depth = depth
        self._reader = WordReader(self._cursor, values.get, self._assign_here)
        self._found: list[Assignment] = []
        self._commands: dict[str, Callable[[], bool]] = {
            "if": self._if,
            "case": self._case,
            "[": lambda: self._test("]"),
            "[[": lambda: self._test("]]"),
            "test": lambda: self._test(""),
            "!": lambda: not self._command(),
            "export": lambda: self._declare(exported=True),
            "readonly": lambda: self._declare(exported=False),
            "unset": self._unset,
            ".": self._source,
            "source": self._source,
            ":": lambda: self._ignore(status=True),
            "true": lambda: self._ignore(status=True),
            "false": lambda: self._ignore(status=False),
        }

    def run(self) -> tuple[Assignment, ...]:
        """Carry it out. ConfigError names the line."""
        self._list(())
        return tuple(self._found)

    # Lists of commands

    def _list(self, ends: tuple[str, ...]) -> bool:
        """Commands up to one of the words `ends`, which is read; the status of the last."""
        status, opened = True, self._cursor.line()
        while self._cursor.skip_blanks():
            if self._cursor.peek() in "\n;":
                if ";;" in ends and self._cursor.sees(";;"):
                    return status
                self._cursor.at += 1
            elif (word := self._cursor.bare_word()) in ends:
                return status
            elif word in _RESERVED and self._reader.is_live:
                raise self._cursor.error(f"{word!r} is not expected here")
            else:
                status = self._chain()
        if ends:
            raise self._cursor.error(f"{ends[-1]!r} is missing", opened)
        return status

    def _chain(self) -> bool:
        """Commands with `&&` and `||` between them."""
        status = self._command()
        while self._cursor.skip_blanks() and (connector := self._connector()):
            self._cursor.at += len(connector)
            while self._cursor.skip_blanks() and self._cursor.peek() == "\n":
                self._cursor.at += 1
            is_needed = status == (connector == "&&")
            following = self._within(live=is_needed, body=self._command)
            status = following if is_needed else status
        return status

    def _connector(self) -> str:
        return next((known for known in _CONNECTORS if self._cursor.sees(known)), "")

    def _within(self, *, live: bool, body: Callable[[], bool]) -> bool:
        before = self._reader.is_live
        self._reader.is_live = before and live
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._cursor.error("too many commands within one another")
        try:
            return body()
        finally:
            self._depth -= 1
            self._reader.is_live = before

    # Commands

    def _command(self) -> bool:
        self._cursor.skip_blanks()
        if self._assignment_ahead():
            return self._assignments(exported=False)
        name = self._cursor.bare_word()
        command = self._commands.get(name)
        if command is not None:
            self._cursor.at += len(name)
            return self._within(live=True, body=command)
        if self._reader.is_live:
            raise self._refusal()
        return self._ignore(status=True)

    def _assignment_ahead(self) -> bool:
        match = NAME.match(self._cursor.text, self._cursor.at)
        return match is not None and self._cursor.text.startswith("=", match.end())

    def _assignments(self, *, exported: bool) -> bool:
        """`A=1 B=2`: as many as there are before the command ends."""
        while self._more() and self._assignment_ahead():
            self._assign(exported=exported)
        if self._more() and self._reader.is_live:
            raise self._refusal()
        return True

    def _assign(self, *, exported: bool) -> None:
        match = NAME.match(self._cursor.text, self._cursor.at)
        assert match is not None  # noqa: S101 - _assignment_ahead has seen it
        line = self._cursor.line()
        self._cursor.at = match.end() + 1
        value = self._reader.word().value
        self._note(match[0], value, line, exported=exported)

    def _assign_here(self, name: str, value: str) -> None:
        """What `${NAME:=value}` does."""
        self._note(name, value, self._cursor.line(), exported=False)

    def _note(self, name: str, value: str, line: int, *, exported: bool) -> None:
        if self._reader.is_live:
            self._values[name] = value
            self._found.append(Assignment(name, value, line, exported, self._cursor.origin))

    def _declare(self, *, exported: bool) -> bool:
        """`export A=1 B`: values, and names that have one already."""
        while self._more():
            if self._assignment_ahead():
                self._assign(exported=exported)
                continue
            match = NAME.match(self._cursor.text, self._cursor.at)
            if match is None:
                raise self._cursor.error(f"{self._cursor.rest_of_line()!r} is not KEY=VALUE")
            line = self._cursor.line()
            self._cursor.at = match.end()
            if match[0] in self._values:
                self._note(match[0], self._values[match[0]], line, exported=exported)
        return True

    def _unset(self) -> bool:
        while self._more():
            line = self._cursor.line()
            name = self._reader.word().value
            if NAME.fullmatch(name):
                self._note(name, "", line, exported=False)
        return True

    def _source(self) -> bool:
        words = self._words()
        if not self._reader.is_live:
            return True
        path = words[0].value if words else ""
        found = self._surroundings.source(path)
        if found is None:
            raise self._cursor.error(f"the file {path!r} that it reads is not there")
        if self._depth >= _DEEPEST:
            raise self._cursor.error("too many files within one another")
        origin, text = found
        self._found += Script(text, origin, self._values, self._surroundings, self._depth + 1).run()
        return True

    def _if(self) -> bool:
        """From behind `if` to `fi`. One branch at most is live."""
        condition = self._list(("then",))
        self._cursor.expect("then")
        status, is_done = True, False
        while True:
            is_taken = condition and not is_done
            found = self._within(live=is_taken, body=lambda: self._list(("elif", "else", "fi")))
            status = found if is_taken else status
            is_done = is_done or condition
            keyword = self._cursor.bare_word()
            self._cursor.at += len(keyword)
            if keyword == "fi":
                return status
            if keyword == "elif":
                condition = self._within(live=not is_done, body=lambda: self._list(("then",)))
                self._cursor.expect("then")
            else:
                found = self._within(live=not is_done, body=lambda: self._list(("fi",)))
                self._cursor.expect("fi")
                return status if is_done else found

    def _case(self) -> bool:
        self._cursor.skip_blanks()
        value = self._reader.word().value
        self._cursor.skip_blanks()
        self._cursor.expect("in")
        is_done = False
        while True:
            self._cursor.skip_lines("'esac' is missing")
            if self._cursor.bare_word() == "esac":
                self._cursor.expect("esac")
                return True
            matches = self._patterns(value)
            self._within(live=matches and not is_done, body=lambda: self._list((";;", "esac")))
            is_done = is_done or matches
            if self._cursor.sees(";;"):
                self._cursor.at += 2

    def _patterns(self, value: str) -> bool:
        """`a|b)`: whether one of them fits."""
        fits = False
        if self._cursor.peek() == "(":
            self._cursor.at += 1
        while True:
            self._cursor.skip_blanks()
            word = self._reader.word(stops="|)")
            fits = fits or (fnmatchcase(value, word.value) if word.is_plain else word.value == value)
            self._cursor.skip_blanks()
            mark = self._cursor.peek()
            if mark not in "|)" or mark == "\n":
                raise self._cursor.error("'case' is not understood here")
            self._cursor.at += 1
            if mark == ")":
                return fits

    def _test(self, end: str) -> bool:
        words = self._words(end)
        if not self._reader.is_live:
            return False
        present = words if end == "]]" else [word for word in words if word.value or not word.is_plain]
        try:
            return holds(present, self._surroundings.file_test, patterns=end == "]]")
        except NotUnderstood as error:
            if len(present) < len(words):
                return False  # `[ $A = x ]` where A is empty: a shell complains, and goes on with "no"
            raise self._cursor.error(f"the test is not understood at {str(error)!r}") from error

    def _ignore(self, *, status: bool) -> bool:
        self._words()
        return status

    # Words

    def _words(self, end: str = "") -> list[Word]:
        """The words up to the end of the command, or up to `end`, which is read."""
        found: list[Word] = []
        while self._more(inside=end == "]]"):
            connector = self._connector() if end == "]]" else ""
            if connector:
                self._cursor.at += len(connector)
                found.append(Word(connector, is_plain=True))
                continue
            word = self._reader.word()
            if end and word == (end, True):
                return found
            found.append(word)
        if end and self._reader.is_live:
            raise self._cursor.error(f"{end!r} is missing")
        return found

    def _more(self, *, inside: bool = False) -> bool:
        """Whether the command goes on. `inside` brackets, `&&` does not end it."""
        if not self._cursor.skip_blanks() or self._cursor.peek() in "\n;":
            return False
        return inside or not self._connector()

    def _refusal(self) -> Exception:
        shown = self._cursor.rest_of_line()
        match = NAME.match(shown)
        if match is not None and match.end() == len(shown.split()[0]):
            return self._cursor.error(f"{match[0]!r} is not followed by '='; a line must be KEY=VALUE")
        return self._cursor.error(f"{shown!r} is not KEY=VALUE; what needs a shell is not done")
