"""Which files others name, and where those are, as the policy decides it: no threads, no files, no links."""

from __future__ import annotations

import marshal
import struct
from collections.abc import Collection, Iterable

import pytest

from swrepo.errors import FormatError
from swrepo.format.compiled_python import names_at_the_top
from swrepo.format.object_id import ObjectId
from swrepo.mount.ahead_account import Account, Odds
from swrepo.mount.ahead_mentions import Mention, Style, is_readable, mentions
from swrepo.mount.ahead_named import Named
from swrepo.mount.ahead_neighbours import Neighbours
from swrepo.mount.ahead_places import File, package_of
from swrepo.objects.store import Want

PYTHON = (3495).to_bytes(2, "little") + b"\r\n" + bytes(12)


class Tree:
    """Files by path; `hidden` are those of catalogs that are not loaded."""

    def __init__(self, *paths: bytes) -> None:
        self.places = {(package_of(path.rpartition(b"/")[0]), path.rpartition(b"/")[2]): path for path in paths}
        self.hidden: bytes | None = None

    def file(self, directory: bytes, name: bytes) -> File | None:
        path = self.places.get((directory, name))
        if path is None or (self.hidden is not None and path.startswith(self.hidden)):
            return None
        return File(path, (Want(ObjectId.of(path), size=100),), 100)

    def may_have(self, directory: bytes, module: bytes) -> bool:
        inside = directory + b"/" + module
        return any(path.startswith((inside + b".", inside + b"/")) for path in self.places.values()) or any(
            place == directory and name.split(b".")[0] == module for place, name in self.places
        )

    def module(self, directory: bytes, name: bytes, endings: Collection[bytes]) -> File | None:
        return next((file for end in endings if (file := self.file(directory, name + end)) is not None), None)


def spelled(name: bytes, content: bytes, directory: bytes = b"/d") -> list[bytes]:
    return [mention.spelled for mention in mentions(name, directory, content)]


def paths(found: Iterable[tuple[bytes, File]]) -> list[bytes]:
    return [file.name for _, file in found]


def names(policy: Named, tree: Tree, path: bytes, content: bytes) -> list[bytes]:
    directory, _, name = path.rpartition(b"/")
    directory = package_of(directory)
    return paths(policy.names(directory, mentions(name, directory, content), tree))


def opened(policy: Named, tree: Tree, path: bytes) -> list[bytes]:
    directory, _, name = path.rpartition(b"/")
    return paths(policy.opened(package_of(directory), name, tree))


def compiled(source: str) -> bytes:
    code = compile(source, "m.py", "exec")
    return struct.pack("<H", _magic()) + b"\r\n" + bytes(12) + marshal.dumps(code)


def _magic() -> int:
    from importlib.util import MAGIC_NUMBER

    return int.from_bytes(MAGIC_NUMBER[:2], "little")


# What is mentioned


def test_headers_are_named_by_include_and_nothing_else() -> None:
    text = b'#include <vector>\n  #  include "own.h"\n// #include <no>\n#include_next <stdlib.h>\n#define include <x>\n'
    assert spelled(b"a.cpp", text) == [b"vector", b"own.h", b"stdlib.h"]
    assert spelled(b"algorithm", text) == spelled(b"a.h", text)


def test_a_script_names_what_it_requires_when_it_is_loaded() -> None:
    text = b"""const a = require("./a"), b = require('b');
const
    c = require("c"),
\t{ d, e } = require("@x/d/e");
module.exports = { get f() { return require("f"); } };
const lazy = () => require("lazy");
// require("comment")
function g() {
    return require("in-a-function");
}
import h from "h.mjs";
export { i } from './i.js';
"""
    assert spelled(b"index.js", text) == [b"./a", b"b", b"c", b"@x/d/e", b"f", b"h.mjs", b"./i.js"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"main": "lib/x.js"}', [b"./lib/x.js"]),
        (b"{}", [b"./index.js"]),
        (b'{"main": "old.js", "exports": {".": {"import": "./a.mjs", "require": "./a.cjs"}}}', [b"./a.cjs"]),
        (
            b'{"exports": {"module-sync": "./m.mjs", "default": {"types": "./t", "default": "./d.js"}}}',
            [b"./m.mjs", b"./d.js"],
        ),
        (b'{"exports": [["./deep.js"]]}', [b"./deep.js"]),
        (b'{"exports": 5, "main": []}', [b"./index.js"]),
        (b"[1, 2]", []),
        (b"no json", []),
        (b"[" * 100_000, []),
    ],
)
def test_a_package_says_where_it_begins(text: bytes, found: list[bytes]) -> None:
    assert spelled(b"package.json", text) == found


def test_python_names_modules_and_the_packages_above_them() -> None:
    text = b"import os, a.b as c\nfrom x.y import (z,\n    w as v)\nfrom . import near\n    import indented\n"
    found = [b"os", b"a", b"a/b", b"x", b"x/y", b"x/y/z", b"x/y/w", b"near"]
    assert spelled(b"m.py", text) == found


def test_a_compiled_module_names_what_it_imports_at_its_top() -> None:
    source = "import os\nfrom a.b import c, d\nimport warnings as w\ndef f():\n    import lazy\n    return os.sep\n"
    found = spelled(b"m.cpython-311.pyc", compiled(source))
    assert [one for one in (b"os", b"a", b"a/b", b"a/b/c", b"a/b/d", b"warnings") if one not in found] == []
    assert b"lazy" not in found


def test_names_of_compiled_modules_are_those_of_the_interpreter() -> None:
    source = """
import a, b.c
class D(dict):
    x: int = 10**40; y = (1.5, 2j, ..., frozenset({1, 2}), b"bytes", None, True)
    def e(self, *f, **g):
        return [h for h in f if (lambda i: i + self.x)]
async def j():
    await k; yield "\\u00e4 \\U0001f600" + "long" * 3
z = {"l": m, **n}
"""
    code = compile(source, "m.py", "exec")
    assert [name.decode() for name in names_at_the_top(compiled(source))] == list(code.co_names)


def test_a_library_names_the_modules_of_its_package() -> None:
    content = b"\x7fELF\0pandas._libs.missing\0pandas.\0xpandas\0other.name\0pandas._libs.lib\0"
    found = spelled(b"x.so", content, b"/site/pandas/_libs")
    assert found == [b"pandas", b"pandas/_libs", b"pandas/_libs/missing", b"pandas/_libs/lib"]


def test_on_a_lan_only_scripts_are_looked_through() -> None:
    assert [is_readable(name, is_far=False) for name in (b"a.js", b"package.json", b"a.h", b"a.pyc", b"a.so")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert not is_readable(b"photo.jpeg")


@pytest.mark.parametrize("content", [b"", PYTHON, PYTHON + b"\xe3", PYTHON + b"\xff" * 100, PYTHON + b"N", b"x" * 100])
def test_what_is_no_compiled_module_names_nothing(content: bytes) -> None:
    with pytest.raises(FormatError):
        names_at_the_top(content)
    assert mentions(b"m.pyc", b"/d", content) == []


# Where it is


def test_where_headers_are_is_learned_from_the_first_that_is_opened() -> None:
    tree = Tree(b"/usr/include/c++/vector", b"/usr/include/c++/map", b"/usr/include/c++/bits/move.h", b"/main.cpp")
    policy = Named()
    assert names(policy, tree, b"/main.cpp", b"#include <vector>\n#include <map>\n") == []
    assert opened(policy, tree, b"/usr/include/c++/vector") == [b"/usr/include/c++/vector", b"/usr/include/c++/map"]
    assert names(policy, tree, b"/usr/include/c++/vector", b"#include <bits/move.h>") == [
        b"/usr/include/c++/bits/move.h"
    ]


def test_a_header_beside_the_one_that_names_it_needs_nothing_learned() -> None:
    tree = Tree(b"/src/own.h")
    assert names(Named(), tree, b"/src/a.c", b'#include "own.h"\n#include "../src/own.h"') == [b"/src/own.h"]


def test_a_spelled_path_never_leads_out_of_the_tree() -> None:
    tree = Tree(b"/own.h")
    assert names(Named(), tree, b"/src/a.c", b'#include "../../../../own.h"') == [b"/own.h"]


def test_a_script_is_found_as_node_finds_it() -> None:
    tree = Tree(b"/p/lib/a.js", b"/p/lib/b/index.js", b"/p/c.json", b"/p/lib/d")
    text = b'const a = require("./a"); const b = require("./b"); const c = require("../c"); const d = require("./d");'
    assert names(Named(), tree, b"/p/lib/x.js", text) == [
        b"/p/lib/a.js",
        b"/p/lib/b/index.js",
        b"/p/c.json",
        b"/p/lib/d",
    ]


def test_a_package_is_looked_for_upwards_and_comes_with_its_usual_beginning() -> None:
    inner, outer = b"/n/node_modules/a/node_modules/b/", b"/n/node_modules/b/"
    tree = Tree(inner + b"package.json", outer + b"package.json", outer + b"lib/index.js")
    ask = b'const b = require("b");\n'
    assert names(Named(), tree, b"/n/node_modules/a/lib/x.js", ask) == [inner + b"package.json"]
    assert names(Named(), tree, b"/n/node_modules/c/x.js", ask) == [outer + b"package.json", outer + b"lib/index.js"]


def test_what_could_not_be_found_is_looked_for_again_when_more_is_known() -> None:
    tree = Tree(b"/node_modules/b/package.json")
    tree.hidden = b"/node_modules"
    policy = Named()
    assert names(policy, tree, b"/main.js", b'require("b");') == []
    tree.hidden = None
    assert paths(policy.look_again(tree)) == [b"/node_modules/b/package.json"]


def test_modules_are_found_below_the_top_of_packages_and_beside() -> None:
    site = b"/lib/site/"
    tree = Tree(
        site + b"numpy/__pycache__/__init__.c.pyc",
        site + b"numpy/core/__pycache__/__init__.c.pyc",
        site + b"numpy/core/__pycache__/umath.c.pyc",
        site + b"numpy/__pycache__/version.c.pyc",
        b"/lib/__pycache__/os.c.pyc",
    )
    policy = Named()
    assert opened(policy, tree, site + b"numpy/__pycache__/__init__.c.pyc") == []
    opened(policy, tree, b"/lib/__pycache__/os.c.pyc")
    found = names(
        policy, tree, site + b"numpy/__pycache__/__init__.c.pyc", compiled("import os, numpy.core.umath, version")
    )
    assert sorted(found) == sorted(set(tree.places.values()))


# What it costs


def test_the_more_names_were_right_the_less_a_guess_costs() -> None:
    odds = Odds()
    first = odds.doubt
    odds.guessed = 1000.0
    assert odds.doubt > first
    odds.right = 1000.0
    assert odds.doubt == first == pytest.approx(0.25, abs=0.06)


def test_what_was_too_dear_is_fetched_when_something_was_earned() -> None:
    policy = Neighbours(Account(1.0, 1000.0))
    files = [
        File(b"f%d.h" % number, (Want(ObjectId.of(b"%d" % number), size=200_000),), 200_000) for number in range(30)
    ]
    first = policy.named(files, 0.1)
    assert 0 < len(first) < len(files)
    second: list[Want] = []
    while first:
        for want in first:
            policy.wanted(want)
        first = policy.named([], 0.1)
        second += first
    assert len(second) == len(files) - 1 or len(second) >= len(files) // 2


def test_nothing_is_named_twice() -> None:
    text = b'#include "a.h"\n' * 100
    assert mentions(b"x.c", b"/d", text) == [Mention(Style.INCLUDE, b"a.h")]
