"""Grafted files: published by what a marker says of their content, which is somewhere else."""

from __future__ import annotations

import hashlib
import os
import zlib
from io import BytesIO

import pytest

from swrepo.cli.main import main
from swrepo.errors import FormatError, PublishError
from swrepo.format import graft
from swrepo.format.compression import Compression
from swrepo.format.dirent import Chunk
from swrepo.format.graft import Graft
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.publish.changed import Touched
from swrepo.publish.grafting import Grafter
from swrepo.publish.settings import Choices
from tests.publishing import Server, fast_options

DATA = bytes(range(256)) * 10
SHA1 = hashlib.sha1(DATA).hexdigest()
ZEROS = "0" * 40


def sha1(data):
    return hashlib.sha1(data).digest()


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "server", fast_options(external=True, compression=Compression.NONE))


def put(server, name, text, content=b""):
    path = server.tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.with_name(f".cvmfsgraft-{path.name}").write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def entry(server, path):
    with server.revision() as revision:
        found = revision.find(path)
        return found, revision.chunks(path) if found is not None and found.is_chunked else ()


def names(server, path):
    with server.revision() as revision:
        return sorted(one.name for one in revision.listing(path))


class TestTheMarker:
    def test_what_is_written_is_what_is_read(self):
        chunks = (Chunk(0, 100, b"a" * 20), Chunk(100, 50, b"b" * 20))
        for found in (
            Graft(150, Algorithm.SHA1, None, Compression.NONE, chunks),
            Graft(150, Algorithm.SHAKE128, b"w" * 20, Compression.ZLIB, chunks),
            Graft(0, Algorithm.RIPEMD160, b"w" * 20),
        ):
            assert graft.parse(found.encode()) == found

    def test_comments_blanks_and_unknown_lines_are_passed_over(self):
        text = f"# made by hand\n\n size = 3 \nchecksum={SHA1}\nowner=me\nchunk_offsets=\n"
        assert graft.parse(text.encode()) == Graft(3, Algorithm.SHA1, bytes.fromhex(SHA1))

    def test_one_chunk_is_a_whole_file(self):
        text = f"size=3\nchecksum={ZEROS}\nchunk_offsets=0\nchunk_checksums={SHA1}\n"
        assert graft.parse(text.encode()) == Graft(3, Algorithm.SHA1, bytes.fromhex(SHA1))

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "no line size="),
            ("size=3\n", "no line checksum="),
            (f"size=-3\nchecksum={SHA1}", "no number"),
            (f"size=99999999999999999999\nchecksum={SHA1}", "no number"),
            ("size=3\nchecksum=abc", "no hash"),
            (f"size=3\nchecksum={ZEROS}", "of zeros, and no chunks"),
            (f"size=3\nsize=4\nchecksum={SHA1}", "two lines size="),
            (f"size=3\nchecksum={SHA1}\nnonsense", "without '='"),
            (f"size=3\nchecksum={SHA1}\ncompression=lz4", "neither zlib nor none"),
            (f"size=3\nchecksum={SHA1}\nchunk_offsets=0,1\nchunk_checksums={SHA1}", "2 chunk_offsets and 1"),
            (f"size=3\nchecksum={SHA1}\nchunk_offsets=1\nchunk_checksums={SHA1}", "begin at 0"),
            (f"size=3\nchecksum={SHA1}\nchunk_offsets=0,0\nchunk_checksums={SHA1},{SHA1}", "do not grow"),
            (f"size=3\nchecksum={SHA1}\nchunk_offsets=0,3\nchunk_checksums={SHA1},{SHA1}", "begins at 3"),
            (f"size=3\nchecksum={SHA1}\nchunk_offsets=0,1\nchunk_checksums={SHA1},{SHA1}-rmd160", "several kinds"),
        ],
    )
    def test_nonsense_is_refused_with_its_reason(self, text, reason):
        with pytest.raises(FormatError, match=reason):
            graft.parse(text.encode())


class TestMakingThem:
    def test_a_file_is_cut_into_chunks_of_one_size(self):
        made = Grafter(chunk=1000).graft(BytesIO(DATA))
        assert made.size == 2560
        assert made.digest is None
        assert [(chunk.offset, chunk.size) for chunk in made.chunks] == [(0, 1000), (1000, 1000), (2000, 560)]
        assert [chunk.digest for chunk in made.chunks] == [sha1(DATA[n : n + 1000]) for n in (0, 1000, 2000)]
        assert Grafter(chunk=1000, whole=True).graft(BytesIO(DATA)).digest == sha1(DATA)

    def test_what_fits_into_one_chunk_is_whole(self):
        for chunk in (0, 2560, 5000):
            assert Grafter(chunk=chunk).graft(BytesIO(DATA)) == Graft(
                2560, Algorithm.SHA1, sha1(DATA), Compression.NONE
            )
        assert Grafter().graft(BytesIO(b"")).digest == sha1(b"")

    def test_compressed_contents_are_named_as_zlib_packs_them(self):
        made = Grafter(Algorithm.SHAKE128, Compression.ZLIB).graft(BytesIO(DATA))
        assert made.objects == [ObjectId.of(zlib.compress(DATA), Algorithm.SHAKE128)]

    def test_a_directory_becomes_one_of_markers_and_empty_files(self, tmp_path, capsys):
        source = tmp_path / "from"
        (source / "below").mkdir(parents=True)
        (source / "below/data").write_bytes(DATA)
        (source / "below/data").chmod(0o640)
        os.utime(source / "below/data", (10, 10))
        (source / "link").symlink_to("below/data")
        assert main(["server", "graft", "-i", str(source), "-o", str(tmp_path / "to"), "-v"]) == 0
        assert "1 file, 2.6 KB" in capsys.readouterr().out
        made = (tmp_path / "to/below/data").stat()
        assert (made.st_size, made.st_mode & 0o777, made.st_mtime) == (0, 0o640, 10)
        assert graft.parse((tmp_path / "to/below/.cvmfsgraft-data").read_bytes()).digest == sha1(DATA)
        assert os.readlink(tmp_path / "to/link") == "below/data"

    def test_without_a_place_the_marker_is_printed(self, tmp_path, capsys):
        (tmp_path / "data").write_bytes(DATA)
        assert main(["server", "graft", str(tmp_path / "data")]) == 0
        assert capsys.readouterr().out == f"size=2560\nchecksum={SHA1}\ncompression=none\n"

    def test_what_makes_no_sense_is_a_usage_error(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        for words, reason in (
            ([], "which file"),
            (["-c", "-1", str(tmp_path)], "at least 1 MB"),
            ([str(tmp_path), "-o", str(tmp_path / "file")], "is none"),
            (["-", "-o", str(tmp_path)], "needs a name"),
        ):
            assert main(["server", "graft", *words]) == 2
            assert reason in capsys.readouterr().err


class TestPublishingThem:
    def test_a_grafted_file_has_the_content_of_its_marker_and_the_rest_of_the_file(self, server):
        path = put(server, "data/run.root", Grafter(chunk=1000).graft(BytesIO(DATA)).encode())
        path.chmod(0o640)
        before = server.objects()
        server.publish()
        found, chunks = entry(server, b"/data/run.root")
        assert (found.size, found.mode & 0o777, found.is_external, found.is_chunked) == (2560, 0o640, True, True)
        assert found.compression is Compression.NONE
        assert [chunk.digest for chunk in chunks] == [sha1(DATA[n : n + 1000]) for n in (0, 1000, 2000)]
        assert names(server, b"/data") == [b"run.root"]
        assert not [one for one in server.objects() - before if not one.kind]

    def test_one_that_did_not_change_is_no_change(self, server):
        put(server, "whole", Grafter().graft(BytesIO(DATA)).encode())
        put(server, "cut", Grafter(chunk=1000).graft(BytesIO(DATA)).encode())
        server.publish()
        assert not server.publish().published
        put(server, "cut", Grafter(chunk=1500).graft(BytesIO(DATA)).encode())
        assert server.publish().changed == 1

    def test_the_marker_is_enough_where_changed_paths_are_named(self, server):
        path = put(server, "data/one", Grafter().graft(BytesIO(DATA)).encode())
        (server.tree / "data/other").write_bytes(b"as it was")
        server.publish()
        marker = path.with_name(".cvmfsgraft-one")
        marker.write_bytes(Grafter().graft(BytesIO(DATA * 2)).encode())
        outcome = server.publish(touched=Touched(entries=frozenset([b"/data/.cvmfsgraft-one"])))
        assert outcome.changed == 1
        assert entry(server, b"/data/one")[0].size == 5120
        path.unlink()
        marker.unlink()
        touched = Touched(entries=frozenset([b"/data/.cvmfsgraft-one", b"/data/one"]))
        assert server.publish(touched=touched).removed == 1
        assert names(server, b"/data") == [b"other"]

    def test_a_file_without_its_marker_is_an_ordinary_one_again(self, server):
        path = put(server, "one", Grafter().graft(BytesIO(DATA)).encode(), b"own content")
        server.publish()
        path.with_name(".cvmfsgraft-one").unlink()
        server.publish(choices=Choices(external=False))
        found, _ = entry(server, b"/one")
        assert (found.size, found.is_external) == (11, False)

    @pytest.mark.parametrize("touched", [None, Touched(entries=frozenset([b"/.cvmfsgraft-one"]))])
    def test_bad_ones_are_named_with_their_reason_and_nothing_is_published(self, server, touched):
        put(server, "one", "size=many\n")
        with pytest.raises(PublishError, match=r"/\.cvmfsgraft-one: has no line checksum="):
            server.publish(touched=touched)
        (server.tree / "one").unlink()
        with pytest.raises(PublishError, match="there is no file one beside it"):
            server.publish(touched=touched)
        assert server.manifest().revision == 1

    def test_in_a_store_of_its_own_what_is_missing_is_said(self, tmp_path):
        server = Server(tmp_path, fast_options(compression=Compression.NONE))
        put(server, "absent", Grafter().graft(BytesIO(DATA)).encode())
        (server.tree / "there").write_bytes(b"there")
        outcome = server.publish()
        assert any("1 grafted files" in remark and "/absent" in remark for remark in outcome.remarks)
        put(server, "again", Grafter().graft(BytesIO(b"there")).encode())
        assert not server.publish().remarks
        with server.revision() as revision, revision.content(b"/again") as content:
            assert content.pread(0, 5) == b"there"

    def test_hard_links_keep_together(self, server):
        text = Grafter().graft(BytesIO(DATA)).encode()
        path = put(server, "one", text)
        os.link(path, server.tree / "two")
        (server.tree / ".cvmfsgraft-two").write_bytes(text)
        server.publish()
        with server.revision() as revision:
            assert revision.inode(b"/one") == revision.inode(b"/two")
            assert revision.lookup(b"/two").size == 2560
