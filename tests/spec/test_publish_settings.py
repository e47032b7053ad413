"""What server.conf says, and what becomes of it: limits, owners, kinds of files, ways of storing, external data."""

from __future__ import annotations

import os
import socket

import pytest

from swrepo.config.table import server
from swrepo.config.table.client import TABLE
from swrepo.errors import ConfigError, PublishError
from swrepo.format.compression import Compression
from swrepo.format.object_id import ObjectId
from swrepo.objects.chunker import ChunkSizes
from swrepo.publish import settings
from swrepo.publish.changed import Touched
from swrepo.publish.settings import Choices
from tests.publishing import Server, fast_options


def change(server, *lines):
    """Add lines to the repository's server.conf."""
    path = server.places.server_conf
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def entry(server, path):
    with server.revision() as revision:
        return revision.find(path)


# Limits


def test_a_file_beyond_the_limit_is_published_with_a_warning(tmp_path):
    server = Server(tmp_path, fast_options(chunks=ChunkSizes()))
    change(server, "CVMFS_FILE_MBYTE_LIMIT=1")
    (server.tree / "large").write_bytes(bytes(2 << 20))
    (server.tree / "small").write_bytes(bytes(1 << 20))
    outcome = server.publish()
    assert outcome.excesses == ((b"/large", "has 2 MB, the limit is 1 (CVMFS_FILE_MBYTE_LIMIT)"),)
    assert entry(server, b"/large").size == 2 << 20


def test_files_beyond_an_enforced_limit_are_named_and_nothing_is_published(tmp_path):
    server = Server(tmp_path, fast_options(chunks=ChunkSizes()))
    change(server, "CVMFS_FILE_MBYTE_LIMIT=1", "CVMFS_ENFORCE_LIMITS=true")
    for name in ("a", "b"):
        (server.tree / name).write_bytes(bytes(2 << 20))
    before = server.objects()
    with pytest.raises(PublishError, match=r"(?s)/a: has 2 MB.*/b: has 2 MB"):
        server.publish()
    assert server.manifest().revision == 1
    assert server.objects() == before


def test_a_catalog_beyond_the_limit_is_a_warning_or_an_error(tmp_path):
    server = Server(tmp_path, fast_options(weights=None))
    change(server, "CVMFS_ROOT_KCATALOG_LIMIT=1", "CVMFS_NESTED_KCATALOG_LIMIT=0")
    (server.tree / "nested").mkdir()
    for directory, count in ((server.tree, 1000), (server.tree / "nested", 1001)):
        for number in range(count):
            (directory / f"{number}").symlink_to("x")
    (server.tree / "nested/.cvmfscatalog").touch()
    ((path, what),) = server.publish().excesses
    assert path == b""
    assert "its catalog has 1,002 entries, the limit is 1,000 (CVMFS_ROOT_KCATALOG_LIMIT)" in what
    change(server, "CVMFS_NESTED_KCATALOG_LIMIT=1", "CVMFS_ENFORCE_LIMITS=yes")
    (server.tree / "nested/more").symlink_to("x")
    with pytest.raises(PublishError, match=r"(?s)/nested: its catalog has 1,004 entries.*/: its catalog"):
        server.publish()
    assert server.manifest().revision == 2


# Which files, and whose


def test_owners_are_mapped(tmp_path):
    server = Server(tmp_path)
    (tmp_path / "uids").write_text(f"{os.getuid()} 4000000000\n")
    (tmp_path / "gids").write_text("* 77\n")
    change(server, f"CVMFS_UID_MAP={tmp_path}/uids", f"CVMFS_GID_MAP={tmp_path}/gids")
    (server.tree / "f").write_text("x")
    server.publish()
    for path in (b"", b"/f"):
        assert (entry(server, path).uid, entry(server, path).gid) == (4_000_000_000, 77)
    assert not server.publish().published


def test_special_files_are_left_out_where_that_is_wanted(tmp_path):
    server = Server(tmp_path)
    os.mkfifo(server.tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(server.tree)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    server.publish()
    assert entry(server, b"/pipe").is_special
    change(server, "CVMFS_IGNORE_SPECIAL_FILES=true")
    (server.tree / "f").touch()
    server.publish()
    assert entry(server, b"/pipe") is None
    assert entry(server, b"/socket") is None
    assert entry(server, b"/f") is not None
    os.mkfifo(server.tree / "another")
    assert not server.publish(touched=Touched(frozenset((b"/another",)))).added


def test_links_between_directories_are_an_error_where_that_is_wanted(tmp_path):
    server = Server(tmp_path)
    (server.tree / "d").mkdir()
    (server.tree / "f").write_text("x")
    os.link(server.tree / "f", server.tree / "d/f")
    assert server.publish().linked_elsewhere == (b"/f", b"/d/f")
    change(server, "CVMFS_IGNORE_XDIR_HARDLINKS=false")
    (server.tree / "f").chmod(0o600)
    with pytest.raises(PublishError, match=r"/f: has names in other directories"):
        server.publish()


# How they are stored

NOISE = os.urandom(100_000)


def stored(server, path):
    """Compression, and stored bytes of a file that is one object."""
    found = entry(server, path)
    return found.compression, (server.places.storage / found.content.path).stat().st_size


def test_files_of_some_names_and_paths_are_stored_as_they_are(tmp_path):
    server = Server(tmp_path, fast_options(chunks=ChunkSizes()))
    change(server, "SWREPO_UNCOMPRESSED='*.jpg /raw/*'")
    for name in ("a.jpg", "b.txt", "raw/deep/c.txt", "other/raw/d.txt"):
        (server.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (server.tree / name).write_bytes(bytes(10_000))
    server.publish()
    assert stored(server, b"/a.jpg") == (Compression.NONE, 10_000)
    assert stored(server, b"/raw/deep/c.txt") == (Compression.NONE, 10_000)
    for path in (b"/b.txt", b"/other/raw/d.txt"):
        compression, size = stored(server, path)
        assert compression is Compression.ZLIB
        assert size < 100
    server.check()
    assert not server.publish().published


@pytest.mark.parametrize("chunks", [ChunkSizes(), ChunkSizes(4096, 8192, 16384), None])
def test_what_does_not_become_smaller_is_stored_as_it_is(tmp_path, chunks):
    server = Server(tmp_path, fast_options(chunks=chunks))
    change(server, "SWREPO_SKIP_INCOMPRESSIBLE=yes")
    (server.tree / "noise").write_bytes(NOISE)
    (server.tree / "tiny").write_bytes(NOISE[:100])
    (server.tree / "zeros").write_bytes(bytes(100_000))
    server.publish()
    assert entry(server, b"/noise").compression is Compression.NONE
    assert entry(server, b"/tiny").compression is Compression.ZLIB
    assert entry(server, b"/zeros").compression is Compression.ZLIB
    server.check()


def test_a_pattern_that_is_neither_name_nor_path_is_refused(tmp_path):
    server = Server(tmp_path)
    change(server, "SWREPO_UNCOMPRESSED=raw/*")
    with pytest.raises(ConfigError, match="raw/"):
        server.publish()


def test_one_publication_may_decide_for_itself(tmp_path):
    server = Server(tmp_path)
    (server.tree / "a").write_bytes(b"same " * 100)
    server.publish(choices=Choices(compression=Compression.NONE, voms_authz="cms:/cms"))
    assert entry(server, b"/a").compression is Compression.NONE
    with server.revision() as revision:
        assert revision.tree.root.properties["voms_authz"] == "cms:/cms"
    (server.tree / "b").write_bytes(b"other " * 100)
    server.publish()
    assert entry(server, b"/a").compression is Compression.NONE
    assert entry(server, b"/b").compression is Compression.ZLIB
    with server.revision() as revision:  # stays until it is changed
        assert revision.tree.root.properties["voms_authz"] == "cms:/cms"


@pytest.mark.parametrize("chunks", [ChunkSizes(4096, 8192, 16384), None])
def test_external_files_are_named_by_their_plain_bytes_and_not_stored(tmp_path, chunks):
    server = Server(tmp_path, fast_options(external=True, chunks=chunks))
    before = len(server.objects())
    (server.tree / "small").write_bytes(b"plain")
    (server.tree / "large").write_bytes(NOISE)
    assert server.publish().new_objects == 2  # catalog and history
    assert len(server.objects()) == before + 2
    small = entry(server, b"/small")
    assert small.is_external
    assert small.content == ObjectId.of(b"plain")
    assert small.compression is Compression.NONE
    with server.revision() as revision:
        large = revision.lookup(b"/large")
        assert large.is_external
        assert large.is_chunked is (chunks is not None)
        for chunk in revision.chunks(b"/large"):
            piece = NOISE[chunk.offset : chunk.offset + chunk.size]
            assert ObjectId.of(piece).digest == chunk.digest
    assert not server.publish().published
    (server.tree / "small").write_bytes(b"other")
    server.publish(choices=Choices(external=False))
    assert not entry(server, b"/small").is_external


# The table


def test_what_is_misspelt_or_has_no_effect_is_remarked(tmp_path):
    server_ = Server(tmp_path)
    change(server_, "CVMFS_AUTOCATALOG=true", "CVMFS_MASTERKEYCARD_PIN=1234", "MINE=1", "CVMFS_UPLOAD_STATS_DB=false")
    (remark,) = settings.load(server_.places.server_conf).remarks
    assert "there is no parameter CVMFS_AUTOCATALOG; did you mean CVMFS_AUTOCATALOGS?" in remark
    assert server_.publish().remarks == (remark,)


def test_what_would_be_wrong_to_go_on_with_is_refused(tmp_path):
    server_ = Server(tmp_path)
    change(server_, "CVMFS_GENERATE_LEGACY_BULK_CHUNKS=true")
    with pytest.raises(ConfigError, match=r"server.conf:\d+: CVMFS_GENERATE_LEGACY_BULK_CHUNKS=true is refused"):
        server_.publish()


def test_every_row_says_what_it_must():
    names = [row.name for row in server.TABLE]
    assert len(names) == len(set(names)) > 80
    for row in server.TABLE:
        assert row.meaning.endswith("."), row.name
    assert {"CVMFS_USER", "CVMFS_UID_MAP"} <= {row.name for row in TABLE} & set(names)
