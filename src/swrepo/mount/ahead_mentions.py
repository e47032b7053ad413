"""Which other files the text of a file names: `#include`, `require`, `import`, what libraries need. Pure.

What is found is only a guess at what a program does with the file, so cheap patterns will do: nothing here parses a
language. A mention that names no file of the tree costs a look into a listing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from swrepo.errors import FormatError
from swrepo.format.compiled_python import names_at_the_top

LARGEST = 512 << 10
"""Bytes of the largest text that is looked through; a library may have eight times that."""

_MOST = 2000
"""Mentions of one file."""

_MINIFIED = 1000
_KEYS = frozenset({".", "node", "module-sync", "require", "default"})
_CONDITIONS, _DEEPEST = 2, 8


class Style(Enum):
    """How a mention leads to a file."""

    INCLUDE = "a path below the directory of the file, or below one of those that headers are taken from"
    REQUIRE = "a path of a script, or a package"
    MODULE = "a module, with slashes"


class Mention(NamedTuple):
    """What is named, as it is spelled."""

    style: Style
    spelled: bytes


_C_ENDINGS = (b".h", b".hh", b".hpp", b".hxx", b".c", b".cc", b".cpp", b".cxx", b".tcc", b".inl", b".ipp", b".cu")
_SCRIPT_ENDINGS = (b".js", b".cjs", b".mjs")
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include(?:_next)?[ \t]*[<"]([\w./+-]{1,200})[>"]', re.MULTILINE)
_REQUIRE = re.compile(rb"""\brequire\(\s{0,8}["']([\w@./+-]{1,200})["']\s{0,8}\)""")
_FROM = re.compile(rb"""^(?:import|export|\})[^"'\n;]{0,500}["']([\w@./+-]{1,200})["']""", re.MULTILINE)
_CHAINED = re.compile(rb",?[ \t]{0,8}(?:[\w$]+|\{?[\w$\s,:]*\}|module\.exports)[ \t]{0,8}=")
_LONGEST_CHAINED = 200
_IMPORT = re.compile(
    rb"^(?:from[ \t]{1,8}(\.{0,16})([\w.]{0,200})[ \t]{1,8}import[ \t]{1,8}([\w, \t]{1,500}|\([\w,\s]{0,5000}\))"
    rb"|import[ \t]{1,8}([\w., \t]{1,500}))",
    re.MULTILINE,
)
_NAME = re.compile(rb"[A-Za-z_][\w]*")


def is_readable(name: bytes, *, is_far: bool = True) -> bool:
    """Whether a file of that name may name others, and that is worth looking where asking does not take long."""
    reader = _reader(name)
    return reader is not None and (is_far or reader in _CHEAP)


def mentions(name: bytes, directory: bytes, content: bytes) -> list[Mention]:
    """What the file names that begins with `content`, each once, in order."""
    reader = _reader(name)
    found: dict[Mention, None] = {}
    for mention in () if reader is None else reader(directory, content):
        found[mention] = None
        if len(found) >= _MOST:
            break
    return list(found)


def _reader(name: bytes) -> Callable[[bytes, bytes], Iterator[Mention]] | None:
    if name.endswith(b".pyc"):
        return _of_compiled
    if name.endswith(b".py"):
        return _of_python
    if name == b"package.json":
        return _of_package
    if name.endswith(_SCRIPT_ENDINGS):
        return _of_script
    if name.endswith(_C_ENDINGS) or b"." not in name:
        return _of_header
    if name.endswith(b".so") or b".so." in name:
        return _of_library
    return None


def _of_header(_directory: bytes, content: bytes) -> Iterator[Mention]:
    for found in _INCLUDE.finditer(content):
        yield Mention(Style.INCLUDE, found[1])


def _of_script(_directory: bytes, content: bytes) -> Iterator[Mention]:
    for found in _REQUIRE.finditer(content):
        begin = content.rfind(b"\n", 0, found.start()) + 1
        if _runs_at_once(content[begin : found.start()]):
            yield Mention(Style.REQUIRE, found[1])
    for found in _FROM.finditer(content):
        yield Mention(Style.REQUIRE, found[1])


def _runs_at_once(before: bytes) -> bool:
    """Whether what stands before a call in its line looks as if it were run when the script is loaded."""
    if len(before) > _MINIFIED:
        return True
    if b"=>" in before or b"function" in before or before.lstrip().startswith((b"//", b"*")):
        return False
    if not before[:1].isspace():
        return True
    return len(before) <= _LONGEST_CHAINED and _CHAINED.fullmatch(before.strip()) is not None


def _of_package(_directory: bytes, content: bytes) -> Iterator[Mention]:
    try:
        described = json.loads(content)
        main = described.get("main")
        exported = _exported(described.get("exports"))
    except (ValueError, AttributeError, RecursionError):
        return
    chosen = exported or ([main] if isinstance(main, str) else ["index.js"])
    for path in chosen[:_CONDITIONS]:
        spelled = path if path.startswith("./") else f"./{path}"
        yield Mention(Style.REQUIRE, spelled.encode("utf-8", "replace"))


def _exported(exports: object, depth: int = 0) -> list[str]:
    """What `require` of the package itself may lead to, by its conditions."""
    if isinstance(exports, str):
        return [exports]
    if depth > _DEEPEST:
        return []
    if isinstance(exports, list):
        return _exported(exports[0], depth + 1) if exports else []
    found: list[str] = []
    for key, value in exports.items() if isinstance(exports, dict) else ():
        if key in _KEYS:
            found += [path for path in _exported(value, depth + 1) if path not in found]
    return found


def _of_python(_directory: bytes, content: bytes) -> Iterator[Mention]:
    for found in _IMPORT.finditer(content):
        if found[4] is not None:
            for item in found[4].split(b","):
                yield from _module(item.split()[0] if item.split() else b"")
            continue
        yield from _module(found[2])
        for item in found[3].strip(b"()").split(b","):
            name = _NAME.match(item.strip())
            if name is not None:
                yield Mention(Style.MODULE, b"/".join(filter(None, (*found[2].split(b"."), name[0]))))


def _of_compiled(_directory: bytes, content: bytes) -> Iterator[Mention]:
    """Which of the names are modules is not told: what is taken from one stands behind it."""
    package = b""
    try:
        names = names_at_the_top(content)
    except FormatError:
        return
    for name in names:
        if b"." in name:
            yield from _module(name)
            package = name.replace(b".", b"/")
        elif _NAME.fullmatch(name):
            yield Mention(Style.MODULE, name)
            if package:
                yield Mention(Style.MODULE, package + b"/" + name)


def _module(dotted: bytes) -> Iterator[Mention]:
    """A module and the packages that it is in."""
    parts = [part for part in dotted.split(b".") if part]
    for count in range(1, len(parts) + 1):
        yield Mention(Style.MODULE, b"/".join(parts[:count]))


def _of_library(directory: bytes, content: bytes) -> Iterator[Mention]:
    """Modules of its own package that a library of Python has the names of."""
    for package in dict.fromkeys(directory.split(b"/")[-3:]):
        if not _NAME.fullmatch(package):
            continue
        for found in re.finditer(rb"\0" + re.escape(package) + rb"((?:\.[A-Za-z_]\w{0,60}){1,6})(?=\0)", content):
            yield from _module(package + found[1])


_CHEAP = (_of_script, _of_package)
"""On a LAN the other files are had in as little time as it takes to look for what they name (docs/adr/0019)."""
