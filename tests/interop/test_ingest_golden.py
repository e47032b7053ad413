"""Archives that CernVM-FS's own `ingest` was given make the same repository here, and any that GNU tar writes are read."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from swrepo.objects.chunker import ChunkSizes
from tests.archives import ingest
from tests.golden import golden
from tests.listing import rows_of_revision
from tests.publishing import Server, check_catalogs, check_equal, fast_options

MADE_THEN = (b"/", b"/added", b"/base", b"/base/dir", b"/base/dir/.cvmfscatalog")
"""What was not in the archives, so that its time is that of the ingestion."""

LINKED = (b"/base/dir/top/one", b"/base/dir/top/one-hard")
"""Names of one file, of which the original makes two."""


def test_the_archives_of_the_golden_repository_make_it(tmp_path):
    found = golden("ingest")
    server = Server(tmp_path, fast_options(chunks=ChunkSizes()))
    ingest(server, (found.path / "ing.tar.gz").read_bytes(), b"/base/dir", catalog=True)
    ingest(server, (found.path / "ing2.tar.gz").read_bytes(), b"/added")
    ingest(server, None, deletes=(b"/base/dir/top/sub/deep",))
    expected = {row.path: row for row in found.rows if row.path != b"/new_repository"}  # mkfs there made a file
    with server.revision() as revision:
        ours = {row.path: row for row in rows_of_revision(revision, {})}
        assert set(check_catalogs(revision)) == {b"", b"/base/dir", b"/base/dir/top/sub"}
    assert ours.keys() == expected.keys()
    assert {(ours[path].nlink, ours[path].hlgroup) for path in LINKED} == {(2, LINKED[0])}
    for path, row in ours.items():
        assert comparable(row) == comparable(expected[path])


def comparable(row):
    """What has to be equal."""
    if row.path in MADE_THEN:
        return row._replace(mtime="", mode=row.mode & 0o755)
    return row._replace(nlink=1, hlgroup=None) if row.path in LINKED else row


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Everything that archives know."""
    top, dice = tmp_path_factory.mktemp("tree"), random.Random(1)
    deep = top / "/".join(["d" * 60] * 6)
    deep.mkdir(parents=True)
    (deep / ("n" * 200)).write_bytes(b"deep")
    (top / "umlaut-ä\udcff").write_bytes(b"any byte")
    (top / "new\nline").write_bytes(dice.randbytes(100_000))
    (top / "link").symlink_to("x" * 150)
    (top / "a").write_bytes(b"linked")
    os.link(top / "a", top / "b")
    os.link(top / "a", deep / "elsewhere")
    os.mkfifo(top / "fifo")
    (top / "mode").write_bytes(b"")
    (top / "mode").chmod(0o4711)
    with (top / "holes").open("wb") as file:
        for place in range(0, 4_000_000, 300_000):
            file.seek(place + dice.randint(0, 4096))
            file.write(dice.randbytes(5000))
        file.truncate(4_500_000)
    with (top / "empty hole").open("wb") as file:
        file.truncate(1_000_000)
    for directory, names, files in os.walk(top, topdown=False):
        for name in names + files:
            os.utime(os.path.join(directory, name), (1_700_000_000, 1_700_000_000), follow_symlinks=False)
    os.utime(top, (1_700_000_000, 1_700_000_000))
    return top


WAYS = {
    "gnu": ["--format=gnu"],
    "gnu, sparse": ["--format=gnu", "-S"],
    "pax": ["--format=pax"],
    "pax, sparse 0.0": ["--format=pax", "-S", "--sparse-version=0.0"],
    "pax, sparse 0.1": ["--format=pax", "-S", "--sparse-version=0.1"],
    "pax, sparse 1.0": ["--format=pax", "-S", "--sparse-version=1.0"],
}


@pytest.mark.parametrize("way", WAYS)
def test_what_gnu_tar_writes_is_published_as_the_tree_that_it_was_made_of(tree, tmp_path, way):
    server = Server(tmp_path)
    data = subprocess.run(["tar", *WAYS[way], "-C", str(tree), "-cf", "-", "."], check=True, capture_output=True).stdout
    ingest(server, data)
    with server.revision() as revision:
        check_equal(revision, tree)
        check_catalogs(revision)


def test_attributes_that_gnu_tar_writes_are_published(tmp_path):
    server, tree = Server(tmp_path / "server"), tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_bytes(b"x")
    try:
        os.setxattr(tree / "f", "user.colour", b"blue\0")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    command = ["tar", "--format=pax", "--xattrs", "-C", str(tree), "-cf", "-", "."]
    ingest(server, subprocess.run(command, check=True, capture_output=True).stdout)
    with server.revision() as revision:
        check_equal(revision, tree)
