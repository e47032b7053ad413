"""Which files of the tree those are that an opened file names: pure policy, for links where asking costs much.

Where names lead is learned from what is opened: a header that was opened as `/usr/include/c++/12/vector`, where some
file named `vector`, says that headers are below `/usr/include/c++/12`; a module, the directory above its outermost
package; and the endings of their files.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from swrepo.format.paths import basename, join, parent
from swrepo.mount.ahead_mentions import Mention, Style
from swrepo.mount.ahead_places import File

_BASES = 8
"""Directories of each style in which names are looked for."""

_LEVELS = 5
"""Directories in a spelled path."""

_REMEMBERED = 8192
_ENDINGS = (b"", b".js", b".json", b".cjs", b".mjs", b"/index.js", b"/index.json", b"/index.cjs")
_STARTS = (b"index.js", b"lib/index.js", b"dist/index.cjs", b"dist/cjs/index.cjs", b"dist/index.js", b"src/index.js")
_ABOVE = 8
"""Directories above a script of which the packages are looked into."""

_START = b"__init__"
_LAST = 4
"""Texts of which it is looked again what they name when another catalog is here."""


class Found(NamedTuple):
    """A file that is named, and the directory that it is in."""

    directory: bytes
    file: File


class Tree(Protocol):
    """What lies where, as far as catalogs are loaded."""

    def file(self, directory: bytes, name: bytes) -> File | None:
        """A file in that directory or its `__pycache__`; None where there is none, or that is not known."""
        ...

    def may_have(self, directory: bytes, module: bytes) -> bool:
        """Whether a module or package of that name may be in it: what most names are not."""
        ...

    def module(self, directory: bytes, name: bytes, endings: Collection[bytes]) -> File | None:
        """The file in that directory or its `__pycache__` that has this name with one of the endings."""
        ...


class Named:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._bases: dict[Style, OrderedDict[bytes, None]] = {style: OrderedDict() for style in Style}
        self._endings: OrderedDict[bytes, None] = OrderedDict()
        self._spelled: OrderedDict[Mention, None] = OrderedDict()
        self._last: deque[tuple[bytes, Sequence[Mention]]] = deque(maxlen=_LAST)
        self._modules: dict[bytes, tuple[Found, ...]] = {}

    def opened(self, directory: bytes, name: bytes, tree: Tree) -> list[Found]:
        """A file was opened: what was named before and is known now, with the directories of each."""
        if name.endswith((b".pyc", b".py", b".so")):
            return self._module_opened(directory, name, tree)
        path = join(directory, name)
        parts = path.rsplit(b"/", _LEVELS)[1:]
        for count in range(len(parts), 0, -1):
            spelled = b"/".join(parts[-count:])
            if Mention(Style.INCLUDE, spelled) in self._spelled:
                return self._learn(Style.INCLUDE, path[: -len(spelled) - 1], tree)
        return []

    def _module_opened(self, directory: bytes, name: bytes, tree: Tree) -> list[Found]:
        stem, dot, rest = name.partition(b".")
        found: list[Found] = []
        if not stem.startswith(b"lib") and dot + rest not in self._endings:
            self._endings[dot + rest] = None
            self._modules.clear()
            if len(self._endings) > _BASES:
                self._endings.popitem(last=False)
            found = list(self._resolved(self._remembered(Style.MODULE), None, tree))
        base = directory
        while base and tree.module(base, _START, self._endings):
            base = parent(base)
        return found + self._learn(Style.MODULE, base, tree)

    def names(self, directory: bytes, mentioned: Sequence[Mention], tree: Tree) -> list[Found]:
        """What a file in that directory mentions: those that are found, with the directory of each."""
        self._last.append((directory, mentioned))
        for mention in mentioned:
            if mention.style is not Style.REQUIRE:
                self._spelled[mention] = None
                self._spelled.move_to_end(mention)
        while len(self._spelled) > _REMEMBERED:
            self._spelled.popitem(last=False)
        return list(self._resolved(mentioned, directory, tree))

    def _learn(self, style: Style, base: bytes, tree: Tree) -> list[Found]:
        bases = self._bases[style]
        if base in bases:
            bases.move_to_end(base)
            return []
        bases[base] = None
        self._modules.clear()
        if len(bases) > _BASES:
            bases.popitem(last=False)
        return list(self._below(self._remembered(style), base, tree))

    def _remembered(self, style: Style) -> list[Mention]:
        return [mention for mention in self._spelled if mention.style is style]

    def _resolved(self, mentioned: Iterable[Mention], directory: bytes | None, tree: Tree) -> Iterator[Found]:
        """`directory`: None where it does not matter."""
        seen: set[tuple[bytes, bytes]] = set()
        for mention in mentioned:
            for place, file in self._found(mention, directory, tree):
                if (place, file.name) not in seen:
                    seen.add((place, file.name))
                    yield Found(place, file)

    def _below(self, mentioned: Iterable[Mention], base: bytes, tree: Tree) -> Iterator[Found]:
        for mention in mentioned:
            yield from self._at(mention, base, tree)

    def _found(self, mention: Mention, directory: bytes | None, tree: Tree) -> Iterator[Found]:
        if mention.style is Style.REQUIRE:
            yield from _required(mention.spelled, directory or b"", tree)
            return
        if directory is not None:
            yield from self._at(mention, directory, tree)
        if mention.style is Style.MODULE:
            yield from self._anywhere(mention, tree)
            return
        for base in self._bases[mention.style]:
            if base != directory:
                yield from self._at(mention, base, tree)

    def _anywhere(self, mention: Mention, tree: Tree) -> tuple[Found, ...]:
        """A module below any of the bases, which is looked for once."""
        found = self._modules.get(mention.spelled)
        if found is None:
            if len(self._modules) > _REMEMBERED:
                self._modules.clear()
            places = (place for base in self._bases[Style.MODULE] for place in self._at(mention, base, tree))
            found = self._modules[mention.spelled] = tuple(places)
        return found

    def look_again(self, tree: Tree) -> list[Found]:
        """More of the tree is known: what is found now of what was named last."""
        self._modules.clear()
        return [found for directory, mentioned in self._last for found in self._resolved(mentioned, directory, tree)]

    def _at(self, mention: Mention, base: bytes, tree: Tree) -> Iterator[Found]:
        if mention.style is Style.MODULE:
            yield from self._module_at(mention.spelled, base, tree)
            return
        place = _file(_joined(base, mention.spelled), tree)
        if place is not None:
            yield place

    def _module_at(self, spelled: bytes, base: bytes, tree: Tree) -> Iterator[Found]:
        if not tree.may_have(base, spelled.partition(b"/")[0]):
            return
        path = join(base, spelled)
        for place, name in ((parent(path), basename(path)), (path, _START)):
            file = tree.module(place, name, self._endings)
            if file is not None:
                yield Found(place, file)
                return


def _required(spelled: bytes, directory: bytes, tree: Tree) -> Iterator[Found]:
    """What `require` of that in a script of `directory` leads to."""
    if spelled.startswith((b"./", b"../")) or spelled in (b".", b".."):
        yield from _script(_joined(directory, spelled), tree)
        return
    parts = spelled.split(b"/")
    count = 2 if spelled.startswith(b"@") else 1
    package, inner = b"/".join(parts[:count]), b"/".join(parts[count:])
    place = directory
    for _ in range(_ABOVE):
        if basename(place) != b"node_modules":
            found = join(place, b"node_modules/" + package)
            described = _file(join(found, b"package.json"), tree)
            if described is not None:
                yield described
                yield from _script(join(found, inner), tree) if inner else _usual(found, tree)
                return
        if not place:
            return
        place = parent(place)


def _usual(package: bytes, tree: Tree) -> Iterator[Found]:
    """Where most packages begin: what they say themselves would be known a round trip later."""
    for start in _STARTS:
        found = _file(join(package, start), tree)
        if found is not None:
            yield found
            return


def _script(path: bytes, tree: Tree) -> Iterator[Found]:
    for ending in _ENDINGS:
        found = _file(path + ending, tree)
        if found is not None:
            described = _file(join(found[0], b"package.json"), tree)
            if described is not None:
                yield described
            yield found
            return


def _file(path: bytes, tree: Tree) -> Found | None:
    directory = parent(path)
    file = tree.file(directory, basename(path))
    return None if file is None else Found(directory, file)


def _joined(base: bytes, spelled: bytes) -> bytes:
    """The path that `spelled` leads to from a directory; what leads out of the tree leads to its top."""
    path = base
    for part in spelled.split(b"/"):
        if part == b"..":
            path = parent(path) if path else path
        elif part not in (b"", b"."):
            path = join(path, part)
    return path
