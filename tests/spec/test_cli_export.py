"""`swrepo export` and `swrepo cp`: local copies that are those of the published tree, and stay so."""

import contextlib
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from swrepo.cli.main import main
from swrepo.errors import Busy, CorruptObject, UsageError
from swrepo.system.user import is_root
from tests.publishing import Server, fast_options


class Client:
    """Runs commands against a temporary server."""

    def __init__(self, server, prefix, capsys):
        self.server, self.prefix, self.capsys = server, prefix, capsys

    def run(self, *words, code=0):
        self.capsys.readouterr()
        found = main(
            [*map(str, words), "--key", str(self.server.places.keys.public), "--cache", str(self.prefix / "cache")]
        )
        shown = self.capsys.readouterr()
        assert found == code, shown.err
        self.err = shown.err
        return shown.out

    def export(self, out, *options, path="", code=0):
        text = self.run("export", f"{self.server.places.storage}/{path}", out, *options, "--json", code=code)
        return json.loads(text) if text else None

    def cp(self, path, out, *options, code=0):
        return self.run("cp", *options, f"{self.server.places.storage}/{path}", out, code=code)


@pytest.fixture
def client(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path / "client"))
    server = Server(tmp_path / "server", fast_options())
    tree = server.tree
    (tree / "bin").mkdir()
    (tree / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (tree / "bin/tool").chmod(0o755)
    os.link(tree / "bin/tool", tree / "bin/same")
    (tree / "lib/deep").mkdir(parents=True)
    (tree / "lib/deep/a").write_text("a")
    (tree / "lib/deep/link").symlink_to("../../bin/tool")
    (tree / "lib/.cvmfscatalog").touch()
    (tree / "big").write_bytes(os.urandom(100_000))  # several chunks
    (tree / "private").mkdir()
    (tree / "private/file").write_text("secret")
    (tree / "private/file").chmod(0o400)
    (tree / "private").chmod(0o500)
    (tree / os.fsdecode(b"strange \xff")).write_text("s")
    if is_root():
        os.chown(tree / "lib/deep/a", 12, 34)
    with contextlib.suppress(OSError):
        os.setxattr(tree / "bin/tool", "user.colour", b"red")
    os.mkfifo(tree / "pipe", 0o640)
    os.utime(tree / "big", ns=(1, 1_500_000_000_123_456_789))
    os.utime(tree / "lib", ns=(1, 1_400_000_000_000_000_000))
    server.publish("v1")
    yield Client(server, tmp_path, capsys)
    (tree / "private").chmod(0o700)


def picture(top, *, times=True):
    """All that can be seen of a tree: what the copy of it must have too."""
    found = {}
    first = {}
    for directory, names, files in os.walk(top):
        if ".swrepo-export" in names:
            names.remove(".swrepo-export")
        for path in (
            directory,
            *(
                os.path.join(directory, name)
                for name in (*files, *(n for n in names if os.path.islink(os.path.join(directory, n))))
            ),
        ):
            status = os.lstat(path)
            relative = os.path.relpath(path, top)
            names_of = (
                first.setdefault(status.st_ino, relative)
                if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)
                else None
            )
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                mode = stat.S_IMODE(status.st_mode)
                os.chmod(path, 0o600)
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
                os.chmod(path, mode)
            attributes = {
                n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)
            }
            when = status.st_mtime_ns if times else None
            found[relative] = (status.st_mode, status.st_uid, status.st_gid, when, content, names_of, attributes)
    return found


class TestExport:
    def test_a_new_directory_shows_all_that_the_published_tree_shows(self, client, tmp_path):
        found = client.export(tmp_path / "out")
        assert picture(tmp_path / "out") == picture(client.server.tree)
        assert (found["files"], found["links"], found["special_files"], found["failed"], found["left_out"]) == (
            6,
            2,
            1,
            [],
            [],
        )

    def test_run_again_it_writes_nothing(self, client, tmp_path):
        client.export(tmp_path / "out")
        before = {path: os.lstat(tmp_path / "out" / path).st_ino for path in picture(tmp_path / "out")}
        found = client.export(tmp_path / "out")
        assert (found["files"], found["links"], found["special_files"], found["removed"]) == (0, 0, 0, 0)
        assert found["unchanged"] == 8
        assert {path: os.lstat(tmp_path / "out" / path).st_ino for path in picture(tmp_path / "out")} == before

    def test_run_again_it_writes_what_changed_and_removes_the_rest_if_asked(self, client, tmp_path):
        tree, out = client.server.tree, tmp_path / "out"
        client.export(out)
        (tree / "lib/deep/a").unlink()
        (tree / "lib/deep/b").write_text("new")
        (tree / "lib/deep/link").unlink()
        (tree / "lib/deep/link").symlink_to("b")
        (tree / "bin/same").unlink()
        (tree / "bin/same").write_text("its own now")
        (tree / "private/file").unlink() if is_root() else None
        (tree / "big").chmod(0o600)
        client.server.publish()
        found = client.export(out)
        # bin/tool is written too, unless bin/same has been taken away from it by then.
        assert (found["files"] in (2, 3), found["links"], found["removed"]) == (True, 1, 0)
        assert (out / "lib/deep/a").exists()
        found = client.export(out, "--delete")
        assert (found["files"], found["removed"]) == (0, 2 if is_root() else 1)
        assert picture(out) == picture(tree)

    def test_a_change_that_neither_size_nor_time_tells_is_found(self, client, tmp_path):
        tree, out = client.server.tree, tmp_path / "out"
        client.export(out)
        status = (tree / "lib/deep/a").stat()
        (tree / "lib/deep/a").write_text("b")
        client.server.publish()
        os.utime(tree / "lib/deep/a", ns=(1, status.st_mtime_ns))
        client.server.publish()
        assert client.export(out)["files"] == 1
        assert (out / "lib/deep/a").read_text() == "b"

    def test_what_was_changed_in_the_directory_is_put_right(self, client, tmp_path):
        out = tmp_path / "out"
        client.export(out)
        (out / "big").write_bytes(b"mine")
        (out / "bin/tool").chmod(0o777)
        (out / "lib/deep/link").unlink()
        (out / "lib/deep/link").write_text("not a link")
        (out / "pipe").unlink()
        client.export(out)
        assert picture(out) == picture(client.server.tree)

    def test_files_become_directories_and_directories_files(self, client, tmp_path):
        tree, out = client.server.tree, tmp_path / "out"
        client.export(out)
        (tree / "big").unlink()
        (tree / "big").mkdir()
        (tree / "big/inner").write_text("i")
        (tree / "lib/deep/a").unlink()
        (tree / "lib/deep/link").unlink()
        (tree / "lib/deep").rmdir()
        (tree / "lib/deep").write_text("a file")
        client.server.publish()
        client.export(out)
        assert picture(out) == picture(tree)

    def test_a_link_in_the_directory_is_never_written_through(self, client, tmp_path):
        out, away = tmp_path / "out", tmp_path / "away"
        client.export(out)
        away.mkdir()
        for name in ("tool", "same"):
            (out / "bin" / name).unlink()
        (out / "bin").rmdir()
        (out / "bin").symlink_to(away)
        (out / "big").unlink()
        (out / "big").symlink_to(away / "big")
        client.export(out)
        assert list(away.iterdir()) == []
        assert picture(out) == picture(client.server.tree)

    def test_a_subtree_and_an_older_revision_can_be_exported(self, client, tmp_path):
        tree, out = client.server.tree, tmp_path / "out"
        (tree / "lib/deep/a").write_text("newer")
        client.server.publish()
        client.export(out, "--tag", "v1", path="lib/deep")
        assert sorted(os.listdir(out)) == [".swrepo-export", "a", "link"]
        assert (out / "a").read_text() == "a"
        client.export(out, path="lib/deep")
        assert (out / "a").read_text() == "newer"

    def test_only_a_new_or_empty_directory_or_an_export_of_the_same_is_written_to(self, client, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "mine").write_text("m")
        client.export(out, code=UsageError.exit_code)
        assert "holds something that is no export" in client.err
        assert os.listdir(out) == ["mine"]
        client.export(out, "--adopt")
        assert (out / "mine").read_text() == "m"
        client.export(out, path="lib", code=UsageError.exit_code)
        assert "is an export of sw.example.org/, not of sw.example.org/lib" in client.err
        (tmp_path / "file").touch()
        client.export(tmp_path / "file", code=UsageError.exit_code)
        client.export(tmp_path / "x", path="big", code=UsageError.exit_code)
        assert not (tmp_path / "x").exists()

    def test_damage_fails_one_file_and_the_rest_is_there(self, client, tmp_path):
        with client.server.revision() as revision:
            name = revision.lookup(b"/lib/deep/a").content.path
        stored = client.server.places.storage / name
        sound = stored.read_bytes()
        stored.write_bytes(b"rubbish")
        found = client.export(tmp_path / "out", code=CorruptObject.exit_code)
        assert [failure["path"] for failure in found["failed"]] == ["/lib/deep/a"]
        assert not (tmp_path / "out/lib/deep/a").exists()
        assert (tmp_path / "out/lib/deep/link").is_symlink()
        stored.write_bytes(sound)
        assert client.export(tmp_path / "out")["files"] == 1
        assert picture(tmp_path / "out") == picture(client.server.tree)

    def test_what_is_damaged_in_the_cache_is_fetched_again(self, client, tmp_path, expected_warnings):
        client.cp("big", tmp_path / "copy")
        damaged = 0
        for path in (tmp_path / "cache").glob("??/*"):
            raw = bytearray(path.read_bytes())
            if not raw.startswith(b"SQLite"):
                raw[-1] ^= 1
                path.write_bytes(raw)
                damaged += 1
        if not os.listxattr(path):
            pytest.skip("the file system of the temporary directory takes no extended attributes")
        expected_warnings("is damaged in the cache")
        client.export(tmp_path / "out")
        assert damaged
        assert picture(tmp_path / "out") == picture(client.server.tree)

    def test_the_cache_is_left_as_it_was_unless_told_otherwise(self, client, tmp_path):
        def kept():
            return sum(not path.read_bytes().startswith(b"SQLite") for path in (tmp_path / "cache").glob("??/*"))

        client.run("ls", client.server.places.storage)
        before = kept()
        client.export(tmp_path / "out")
        assert kept() == before
        client.export(tmp_path / "out2", "--keep")
        assert kept() > before

    def test_two_at_once_are_one_too_many(self, client, tmp_path):
        import fcntl

        client.export(tmp_path / "out")
        with (tmp_path / "out/.swrepo-export/lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            client.export(tmp_path / "out", code=Busy.exit_code)

    def test_one_that_was_killed_leaves_whole_files_and_is_taken_up_again(self, client, tmp_path):
        tree, out = client.server.tree, tmp_path / "out"
        (tree / "many").mkdir()
        for number in range(1500):
            (tree / f"many/{number}").write_bytes(b"%d" % number * 1000)
        client.server.publish()
        words = [
            "export",
            str(client.server.places.storage),
            str(out),
            "--key",
            str(client.server.places.keys.public),
            "--cache",
            str(tmp_path / "cache"),
        ]
        running = subprocess.Popen([sys.executable, "-m", "swrepo.cli.main", *words])
        deadline = time.monotonic() + 60
        while len(list(out.glob("many/*"))) < 50 and time.monotonic() < deadline and running.poll() is None:
            pass
        running.send_signal(signal.SIGKILL)
        running.wait()
        written = list(out.glob("many/*"))
        for path in written:
            assert path.read_bytes() == (tree / "many" / path.name).read_bytes()
        found = client.export(out)
        assert found["unchanged"] >= len(written) > 0
        assert not (out / ".swrepo-export/unfinished").exists()
        assert picture(out) == picture(tree)

    def test_a_full_disk_ends_it_names_the_file_and_leaves_nothing_half(self, client, tmp_path):
        code = "import resource, sys; from swrepo.cli.main import main; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); sys.exit(main(sys.argv[1:]))"
        words = [
            "export",
            str(client.server.places.storage),
            str(tmp_path / "out"),
            "--key",
            str(client.server.places.keys.public),
            "--cache",
            str(tmp_path / "cache"),
        ]
        client.run("ls", "-R", client.server.places.storage)  # catalogs are larger than that too
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"swrepo: {tmp_path}/out/big: File too large\n")
        assert not (tmp_path / "out/big").exists()
        assert os.listdir(tmp_path / "out/.swrepo-export/unfinished") == []
        client.export(tmp_path / "out")
        assert picture(tmp_path / "out") == picture(client.server.tree)

    def test_a_link_that_leads_to_the_directory_stays_one(self, client, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "out").symlink_to("real")
        for _ in range(2):
            client.export(tmp_path / "out")
        assert os.readlink(tmp_path / "out") == "real"
        assert picture(tmp_path / "real") == picture(client.server.tree)

    def test_people_get_a_sentence(self, client, tmp_path):
        text = client.run("export", client.server.places.storage, tmp_path / "out")
        assert text == "revision 2: 6 files written (100.0 KB), 0 unchanged, 0 removed\n"


class TestCopy:
    def test_an_archive_is_the_published_tree(self, client, tmp_path):
        client.cp("", tmp_path / "copy", "-a")
        assert picture(tmp_path / "copy") == picture(client.server.tree)

    def test_without_an_option_special_files_are_left_out_and_links_become_files(self, client, tmp_path):
        client.cp("", tmp_path / "copy", "-r", code=1)
        assert "left out /pipe: it is neither a file, directory nor link" in client.err
        assert (tmp_path / "copy/bin/tool").stat().st_nlink == 1
        assert (tmp_path / "copy/bin/same").read_bytes() == (tmp_path / "copy/bin/tool").read_bytes()

    def test_a_copy_that_was_interrupted_is_gone_on_with(self, client, tmp_path):
        client.cp("", tmp_path / "copy", "-a")
        (tmp_path / "copy/big").write_bytes(b"half")
        there = (tmp_path / "copy/lib/deep/a").stat().st_ino
        os.chmod(tmp_path / "copy/private", 0o700)
        client.cp("", tmp_path, "-au", "-n", code=UsageError.exit_code)
        renamed = tmp_path / "sw.example.org"
        (tmp_path / "copy").rename(renamed)
        client.cp("", tmp_path, "-au")
        assert picture(renamed) == picture(client.server.tree)
        assert (renamed / "lib/deep/a").stat().st_ino == there

    def test_what_is_there_stays_with_n(self, client, tmp_path):
        (tmp_path / "big").write_text("mine")
        client.cp("big", tmp_path / "big", "-n")
        assert (tmp_path / "big").read_text() == "mine"
        client.cp("big", tmp_path / "big")
        assert (tmp_path / "big").stat().st_size == 100_000

    def test_updating_needs_times_to_compare(self, client, tmp_path):
        client.cp("big", tmp_path / "big", "-u", code=UsageError.exit_code)
        assert "-p or -a" in client.err

    def test_a_directory_in_the_place_of_a_file_is_left_alone(self, client, tmp_path):
        (tmp_path / "copy/bin/tool").mkdir(parents=True)
        (tmp_path / "copy/lib").write_text("in the way")
        client.run(
            "cp",
            "-r",
            f"{client.server.places.storage}/bin",
            f"{client.server.places.storage}/lib",
            tmp_path / "copy",
            code=1,
        )
        assert "left out /bin/tool: a directory is in its place" in client.err
        assert "left out /lib: something else is in its place" in client.err
        assert (tmp_path / "copy/bin/same").is_file()
        assert (tmp_path / "copy/lib").read_text() == "in the way"

    def test_a_file_goes_to_standard_output(self, client, tmp_path):
        words = [
            "cp",
            f"{client.server.places.storage}/big",
            "-",
            "--key",
            str(client.server.places.keys.public),
            "--cache",
            str(tmp_path / "cache"),
        ]
        done = subprocess.run([sys.executable, "-m", "swrepo.cli.main", *words], capture_output=True, check=True)
        assert done.stdout == (client.server.tree / "big").read_bytes()
        client.cp("lib", "-", "-r", code=UsageError.exit_code)
