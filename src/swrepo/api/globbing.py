"""Paths that match a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from typing import Protocol

from swrepo.api.entries import MISSING, DirEntry

_MAGIC = re.compile(r"[*?\[]")
_ANY_DEPTH = "**"


class Tree(Protocol):
    """What is asked of a repository."""

    def scandir(self, path: str) -> list[DirEntry]: ...

    def exists(self, path: str) -> bool: ...

    def islink(self, path: str) -> bool: ...


def matches(tree: Tree, pattern: str, *, include_hidden: bool) -> list[str]:
    """Every path that `pattern` matches, sorted. Names with a dot in front want one in the pattern too."""
    lead = "/" if pattern.startswith("/") else ""
    parts = [part for part in pattern.split("/") if part]
    return sorted(set(_Matcher(tree, include_hidden=include_hidden).below(lead, parts)) - {"", "/"})


class _Matcher:
    def __init__(self, tree: Tree, *, include_hidden: bool) -> None:
        self._tree = tree
        self._include_hidden = include_hidden

    def below(self, directory: str, parts: list[str]) -> Iterator[str]:
        """The paths that match `parts`, counted from `directory`."""
        if not parts:
            yield directory
            return
        part, rest = parts[0], parts[1:]
        if part == _ANY_DEPTH:
            yield from self._at_any_depth(directory, parts, rest)
        elif _MAGIC.search(part):
            matching = re.compile(translate(part)).match
            for entry in self._entries(directory, hidden=part.startswith(".")):
                if matching(entry.name) and (not rest or entry.is_dir()):
                    yield from self.below(_join(directory, entry.name), rest)
        else:
            path = _join(directory, part)
            if self._tree.exists(path) or (not rest and self._tree.islink(path)):
                yield from self.below(path, rest)

    def _at_any_depth(self, directory: str, parts: list[str], rest: list[str]) -> Iterator[str]:
        yield from self.below(directory, rest)
        for entry in self._entries(directory, hidden=False):
            path = _join(directory, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from self.below(path, parts)
            elif not rest:
                yield path

    def _entries(self, directory: str, *, hidden: bool) -> list[DirEntry]:
        try:
            entries = self._tree.scandir(directory)
        except MISSING:
            return []
        return [entry for entry in entries if hidden or self._include_hidden or not entry.name.startswith(".")]


def _join(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}" if directory else name
