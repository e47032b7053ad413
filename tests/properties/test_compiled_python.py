"""Compiled modules of Python, whatever their bytes are, are gone over without an exception but FormatError."""

from __future__ import annotations

import marshal
from contextlib import suppress
from importlib.util import MAGIC_NUMBER

from hypothesis import given
from hypothesis import strategies as st

from swrepo.errors import FormatError
from swrepo.format.compiled_python import names_at_the_top
from swrepo.mount.ahead_mentions import mentions

SOURCE = "import os, a.b\nfrom c import d\ndef f(x):\n    return [y for y in x]\nclass G:\n    h = 2.5\n"
MODULE = MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(SOURCE, "m.py", "exec"))
NAMES = st.sampled_from([b"m.pyc", b"m.py", b"m.so", b"m.js", b"package.json", b"m.h", b"m"])


@given(st.integers(0, len(MODULE) - 1), st.integers(0, 255))
def test_a_changed_byte_costs_names_at_most(place: int, value: int) -> None:
    with suppress(FormatError):
        assert all(
            isinstance(name, bytes) for name in names_at_the_top(MODULE[:place] + bytes([value]) + MODULE[place + 1 :])
        )


@given(st.integers(0, len(MODULE)))
def test_so_does_an_end_that_is_missing(length: int) -> None:
    with suppress(FormatError):
        names_at_the_top(MODULE[:length])


@given(st.binary(max_size=300))
def test_arbitrary_objects_are_gone_over(data: bytes) -> None:
    with suppress(FormatError):
        names_at_the_top(MAGIC_NUMBER + bytes(12) + b"\xe3" + data)


@given(NAMES, st.binary(max_size=300))
def test_arbitrary_bytes_name_paths_at_most(name: bytes, data: bytes) -> None:
    assert all(mention.spelled for mention in mentions(name, b"/a/b", data))
