"""Random trees and random edits in a real directory: what is published is what lstat shows, and every counter fits."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.publishing import Server

NAMES = st.sampled_from([b"a", b"b", b"c", b"\xff\xfe", b"n" * 255, b".cvmfscatalog"])
DIRECTORIES = st.lists(st.sampled_from([b"a", b"b", b"d", "ü".encode()]), max_size=3)
PATHS = st.builds(lambda parts, name: b"/".join([*parts, name]), DIRECTORIES, NAMES)
SIZES = st.sampled_from([0, 1, 100, 4096, 4097, 9000, 40_000])
MOMENTS = st.integers(-(10**18), 4 * 10**18)

EDITS = st.one_of(
    st.tuples(st.just("write"), PATHS, SIZES, st.integers(0, 3)),
    st.tuples(st.just("mkdir"), DIRECTORIES.map(b"/".join)),
    st.tuples(st.just("mark"), DIRECTORIES.map(b"/".join)),
    st.tuples(st.just("symlink"), PATHS, st.sampled_from([b"a", b"../x/$(Y)", b"t" * 300])),
    st.tuples(st.just("fifo"), PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.just("chmod"), PATHS, st.sampled_from([0o644, 0o4755, 0o600, 0o2775])),
    st.tuples(st.just("utime"), PATHS, MOMENTS),
    st.tuples(st.just("xattr"), PATHS, st.sampled_from([b"user.a", b"user.b"]), st.binary(max_size=255)),
)


def edit(top: bytes, step: tuple) -> None:
    """One edit; one that is not possible here is none."""
    verb, where, *rest = step
    path = top + b"/" + where if where else top
    if b"/.cvmfscatalog" in path and verb not in ("remove", "chmod", "utime"):
        return  # only `mark` makes markers: elsewhere they would be faults
    with suppress(OSError):
        if verb == "mkdir":
            os.makedirs(path, exist_ok=True)
            return
        if verb == "mark":
            if where:
                open(path + b"/.cvmfscatalog", "ab").close()
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        act(top, verb, path, rest)


def act(top: bytes, verb: str, path: bytes, rest: list) -> None:
    if verb == "write":
        size, kind = rest
        with open(path, "wb") as file:
            file.write(bytes([kind]) * size if kind < 2 else (os.urandom(1000) * (size // 1000 + 1))[:size])
    elif verb == "symlink":
        os.symlink(rest[0], path)
    elif verb == "fifo":
        os.mkfifo(path)
    elif verb == "link" and b".cvmfscatalog" not in rest[0]:
        os.link(path, top + b"/" + rest[0], follow_symlinks=False)
    elif verb == "remove":
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    elif verb == "rename" and b".cvmfscatalog" not in rest[0]:
        os.rename(path, top + b"/" + rest[0])
    elif verb == "chmod":
        # A directory that its owner may not enter cannot be published by an ordinary user; that has a test of its own.
        os.chmod(path, rest[0] | (0o700 if os.path.isdir(path) else 0))
    elif verb == "utime":
        os.utime(path, ns=(rest[0], rest[0]), follow_symlinks=False)
    elif verb == "xattr":
        os.setxattr(path, rest[0], rest[1], follow_symlinks=False)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example(rounds=[[("mark", b"a/b"), ("write", b"a/b/c", 9000, 2), ("mark", b"a")], [("remove", b"a/.cvmfscatalog")]])
@example(rounds=[[("mark", b"a"), ("write", b"a/a", 1, 0), ("link", b"a/a", b"a/b")], [("remove", b"a/.cvmfscatalog")]])
@example(rounds=[[("mark", b"a"), ("mark", b"a/b/d")], [("rename", b"a", b"b"), ("write", b"a", 1, 1)]])
@given(rounds=st.lists(st.lists(EDITS, max_size=25), min_size=1, max_size=4))
def test_what_is_published_is_what_lstat_shows(rounds):
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        top = os.fsencode(server.tree)
        for steps in rounds:
            for step in steps:
                edit(top, step)
            publisher = server.publisher(clock_ns=time.time_ns)
            first = publisher.publish(server.fqrn)
            server.check()
            again = publisher.publish(server.fqrn)
            assert not again.published
            assert (again.new_objects, again.revision) == (0, first.revision)
