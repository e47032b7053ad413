"""`swrepo.open`: what a Python program sees of a repository, compared with the directory that was published."""

import errno
import gc
import glob
import io
import multiprocessing
import os
import pickle
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

import swrepo
from swrepo.errors import (
    ConfigError,
    CorruptObject,
    IsADirectory,
    NoAttribute,
    NotADirectory,
    NotASymlink,
    PathNotFound,
    ReadOnly,
    SwrepoError,
    SymlinkLoop,
    UsageError,
)
from tests.publishing import Server, fast_options

STRANGE = b"strange \xff\n name"


def fill(tree):
    (tree / "bin").mkdir()
    (tree / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (tree / "bin/tool").chmod(0o755)
    os.link(tree / "bin/tool", tree / "bin/same")
    (tree / "lib/deep/er").mkdir(parents=True)
    (tree / "lib/deep/er/text").write_text("zwölf\r\nBoxkämpfer\n")
    (tree / "lib/deep/.hidden").write_text("h")
    (tree / "lib/.cvmfscatalog").touch()
    (tree / "big").write_bytes(os.urandom(100_000))
    (tree / "empty").touch()
    (tree / "latest").symlink_to("lib/deep")
    (tree / "up").symlink_to("lib/../bin/./tool")
    (tree / "own").symlink_to("/cvmfs/sw.example.org/bin")
    (tree / "away").symlink_to("/etc")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "round").symlink_to("round")
    (tree / "variant").symlink_to("$(SWREPO_TEST:-bin)")
    (tree / os.fsdecode(STRANGE)).write_text("strange")
    os.mkfifo(tree / "fifo")
    os.utime(tree / "bin/tool", ns=(1, 1_500_000_000_123_456_789))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = Server(tmp_path_factory.mktemp("server"), fast_options())
    fill(found.tree)
    found.publish("v1", "the first")
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """No configuration but an empty one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWREPO_PREFIX", str(tmp_path_factory.mktemp("client")))
        yield


def opened(server, cache, **options):
    return swrepo.open(server.places.storage, key=server.places.keys.public, cache=cache, **options)


@pytest.fixture
def repo(server, environment, tmp_path):
    with opened(server, tmp_path / "cache") as found:
        yield found


class TestOpening:
    def test_a_directory_a_url_and_a_name_are_understood(self, server, environment, tmp_path):
        storage, key = server.places.storage, str(server.places.keys.public)
        settings = {"CVMFS_SERVER_URL": f"file://{storage.parent}/@fqrn@"}
        for location, more in [(storage, {}), (f"file://{storage}", {}), (server.fqrn, {"settings": settings})]:
            with swrepo.open(location, key=[key], cache=tmp_path / "cache", **more) as repo:
                assert repo.name == server.fqrn

    def test_without_a_key_those_of_the_configuration_are_trusted(self, server, environment, tmp_path, monkeypatch):
        monkeypatch.setenv("SWREPO_PREFIX", str(tmp_path))
        with pytest.raises(ConfigError, match="no master key to trust"):
            swrepo.open(server.places.storage)
        keys = tmp_path / "etc/cvmfs/keys"
        keys.mkdir(parents=True)
        (keys / "one.pub").write_bytes(server.places.keys.public.read_bytes())
        with swrepo.open(server.places.storage) as repo:
            assert repo.revision == server.manifest().revision
        assert (tmp_path / "var/lib/cvmfs/shared").is_dir()

    def test_a_path_in_the_repository_is_refused(self, server, environment, tmp_path):
        with pytest.raises(UsageError, match="a whole repository"):
            swrepo.open(f"{server.places.storage}/bin", key=server.places.keys.public)

    def test_tags_and_their_hashes_open_an_older_revision(self, tmp_path, environment):
        server = Server(tmp_path / "server", fast_options())
        (server.tree / "a").write_text("one")
        server.publish("v1", "the first")
        (server.tree / "a").write_text("two")
        server.publish("v2")
        with opened(server, tmp_path / "cache") as repo:
            tags = {tag.name: tag for tag in repo.tags()}
            assert repo.read_text("a") == "two"
        assert tags["v1"].description == "the first"
        assert tags["v1"].revision == tags["v2"].revision - 1
        assert tags["v2"].published.timestamp() == server.clock.ns // 10**9
        for options in ({"tag": "v1"}, {"hash": tags["v1"].hash}):
            with opened(server, tmp_path / "cache", **options) as repo:
                assert (repo.read_text("a"), repo.hash) == ("one", tags["v1"].hash)
                assert not repo.refresh()
        with pytest.raises(FileNotFoundError, match="has no tag v3"):
            opened(server, tmp_path / "cache", tag="v3")

    def test_a_refresh_shows_what_was_published_and_leaves_open_files_alone(self, tmp_path, environment):
        server = Server(tmp_path / "server", fast_options())
        (server.tree / "a").write_text("one")
        server.publish()
        with opened(server, tmp_path / "cache") as repo:
            assert not repo.refresh()
            file, walking = repo.open("a"), repo.walk()
            next(walking)
            before = repo.revision
            (server.tree / "a").write_text("two")
            (server.tree / "new").mkdir()
            server.publish()
            assert repo.read_text("a") == "one"
            assert repo.refresh()
            assert (repo.revision, repo.read_text("a"), repo.isdir("new")) == (before + 1, "two", True)
            assert file.read() == "one"
            assert list(walking) == []


class TestPaths:
    def test_a_walk_sees_what_os_walk_sees(self, repo, server):
        def seen(walk, top):
            return {d[len(top) :].strip("/"): (sorted(names), sorted(files)) for d, names, files in walk}

        there = seen(os.walk(server.tree), str(server.tree))
        there[""][0].remove("away")  # leads out of the repository
        there[""][1].append("away")
        for name in ("own", "variant"):  # a link to /cvmfs/NAME, and one with a variable
            there[""][0].append(name)
            there[""][1].remove(name)
        expected = {path: tuple(map(sorted, lists)) for path, lists in there.items()}
        assert seen(repo.walk(), "") == expected
        assert seen(repo.walk("/"), "") == expected
        assert set(seen(repo.walk(followlinks=True), "")) >= {"latest/er", "variant"}

    def test_directories_that_are_taken_out_of_the_list_are_not_entered(self, repo):
        for directory, names, _ in repo.walk():
            names[:] = [name for name in names if name != "lib"]
            assert "lib" not in directory

    def test_stat_tells_what_lstat_of_the_published_tree_tells(self, repo, server):
        for directory, names, files in os.walk(server.tree):
            for name in names + files:
                path = os.path.join(directory, name)
                there, here = os.lstat(path), repo.lstat(os.path.relpath(path, server.tree))
                for field in ("st_mode", "st_uid", "st_gid", "st_nlink", "st_mtime_ns"):
                    if field != "st_nlink" or not stat.S_ISDIR(there.st_mode):
                        assert getattr(here, field) == getattr(there, field), (path, field)
                if not stat.S_ISDIR(there.st_mode) and name != "variant":
                    assert here.st_size == there.st_size
                assert (here.st_mtime, here.st_ctime_ns) == (there.st_mtime, there.st_mtime_ns)

    def test_names_of_one_file_share_an_inode_and_others_do_not(self, repo):
        assert repo.stat("bin/tool").st_ino == repo.stat("bin/same").st_ino
        numbers = [repo.lstat(f"{d}/{name}").st_ino for d, names, files in repo.walk() for name in names + files]
        assert len(set(numbers)) == len(numbers) - 1

    def test_a_status_cannot_be_changed(self, repo):
        with pytest.raises(AttributeError):
            repo.stat("").st_mode = 0

    def test_names_that_are_no_text_come_as_surrogates_and_are_taken_back(self, repo):
        name = os.fsdecode(STRANGE)
        assert name in repo.listdir()
        assert repo.read_bytes(name) == repo.read_bytes(STRANGE) == repo.read_bytes(b"/" + STRANGE) == b"strange"

    @pytest.mark.parametrize(
        "path", ["bin/tool", "/bin/tool", b"bin/tool", PurePosixPath("/bin/tool"), "bin//tool", "./bin/../bin/tool"]
    )
    def test_a_path_may_be_written_in_several_ways(self, repo, path):
        assert repo.isfile(path)
        assert repo.realpath(path) == "/bin/tool"

    def test_links_are_followed_as_a_file_system_follows_them(self, repo):
        assert repo.read_text("up") == repo.read_text("own/tool") == repo.read_text("variant/same")
        assert repo.listdir("latest") == [".hidden", "er"]
        assert repo.realpath("latest/..") == "/lib"
        assert repo.readlink("own") == "/cvmfs/sw.example.org/bin"
        assert repo.readlink("variant") == "bin"
        assert repo.islink("round")
        assert not any(map(repo.exists, ["round", "dangling", "away", "away/passwd", "round/x", "empty/x"]))

    def test_entries_know_their_type(self, repo):
        entries = {entry.name: entry for entry in repo.scandir("/")}
        assert [name for name in entries if entries[name].is_dir()] == ["bin", "latest", "lib", "own", "variant"]
        assert [name for name in entries if entries[name].is_dir(follow_symlinks=False)] == ["bin", "lib"]
        assert entries["up"].is_symlink()
        assert entries["up"].is_file()
        assert not entries["round"].is_file()
        assert entries["up"].stat() == repo.stat("bin/tool")
        assert entries["up"].stat(follow_symlinks=False) == repo.lstat("up")
        assert entries["big"].inode() == repo.stat("big").st_ino
        assert os.fspath(entries["big"]) == "/big"
        assert [entry.path for entry in repo.scandir("bin")] == ["bin/same", "bin/tool"]

    @pytest.mark.parametrize(
        "pattern",
        [
            "*",
            "bin/*",
            "lib/**",
            "**/te?t",
            "**/t*",
            "[a-e]*",
            "l*/deep/er/text",
            ".*",
            "lib/deep/.*",
            "nothing*",
            "latest/*",
            "dangling",
            "big",
            "**",
        ],
    )
    def test_glob_finds_what_glob_finds(self, repo, server, pattern):
        expected = {path.rstrip("/") for path in glob.glob(pattern, root_dir=server.tree, recursive=True)}
        # Python's `**` enters links to directories, ours does not: a link may lead upwards.
        followed = {
            path for path in expected if "**" in pattern and path.startswith(("latest/", "own/", "variant/", "away/"))
        }
        assert set(repo.glob(pattern)) == expected - followed - {""}

    def test_glob_keeps_the_slash_in_front_and_shows_hidden_names_if_asked(self, repo):
        assert repo.glob("/b*") == ["/big", "/bin"]
        assert "lib/.cvmfscatalog" in repo.glob("lib/*", include_hidden=True)


@pytest.mark.parametrize(
    ("act", "kind", "builtin", "number"),
    [
        (lambda repo: repo.stat("nothing"), PathNotFound, FileNotFoundError, errno.ENOENT),
        (lambda repo: repo.open("away/passwd"), PathNotFound, FileNotFoundError, errno.ENOENT),
        (lambda repo: repo.listdir("empty"), NotADirectory, NotADirectoryError, errno.ENOTDIR),
        (lambda repo: repo.stat("empty/x"), NotADirectory, NotADirectoryError, errno.ENOTDIR),
        (lambda repo: repo.open("bin"), IsADirectory, IsADirectoryError, errno.EISDIR),
        (lambda repo: repo.stat("round"), SymlinkLoop, OSError, errno.ELOOP),
        (lambda repo: repo.readlink("big"), NotASymlink, OSError, errno.EINVAL),
        (lambda repo: repo.getxattr("big", "user.none"), NoAttribute, OSError, errno.ENODATA),
        (lambda repo: repo.open("big", "w"), ReadOnly, OSError, errno.EROFS),
        (lambda repo: repo.open("big", "r+b"), ReadOnly, OSError, errno.EROFS),
    ],
)
def test_an_error_is_ours_and_the_one_that_python_has_for_it(repo, act, kind, builtin, number):
    with pytest.raises(kind) as caught:
        act(repo)
    error = caught.value
    assert isinstance(error, builtin)
    assert isinstance(error, SwrepoError)
    assert (error.errno, error.strerror) == (number, str(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


class TestFiles:
    def test_text_is_utf_8_with_universal_newlines_as_with_open(self, repo, server):
        path = server.tree / "lib/deep/er/text"
        with repo.open("lib/deep/er/text") as file, path.open(encoding="utf-8") as there:
            assert file.readlines() == there.readlines()
        with repo.open("lib/deep/er/text", encoding="latin-1", newline="") as file:
            assert file.read() == path.read_bytes().decode("latin-1")
        assert repo.read_text("lib/deep/er/text") == path.read_bytes().decode()

    def test_reads_and_seeks_are_those_of_a_local_file(self, repo, server):
        with repo.open("big", "rb") as file, (server.tree / "big").open("rb") as there:
            for whence, offset, size in [
                (0, 90_000, 20_000),
                (2, -5, 10),
                (1, -100, 7),
                (0, 0, 1),
                (0, 200_000, 5),
                (0, 4090, 20),
            ]:
                assert file.seek(offset, whence) == there.seek(offset, whence)
                assert file.read(size) == there.read(size)
                assert file.tell() == there.tell()
            with pytest.raises(ValueError, match="before the file"):
                file.raw.seek(-1)
            file.seek(17)
            assert file.read() == (server.tree / "big").read_bytes()[17:]
            assert (file.readable(), file.seekable(), file.writable(), file.name) == (True, True, False, "big")

    def test_unbuffered_files_are_raw(self, repo):
        with repo.open("big", "rb", 0) as file:
            assert isinstance(file, io.RawIOBase)
            buffer = bytearray(10)
            assert file.readinto(buffer) == 10
            assert bytes(buffer) == repo.read_bytes("big")[:10]
        with pytest.raises(ValueError, match="closed file"):
            file.read(1)

    @pytest.mark.parametrize("mode", ["", "b", "rbt", "rr", "q", "rU"])
    def test_a_mode_that_means_nothing_is_refused(self, repo, mode):
        with pytest.raises(ValueError, match="mode"):
            repo.open("big", mode)

    def test_many_threads_read_one_repository(self, repo, server):
        whole = (server.tree / "big").read_bytes()

        def read(number):
            with repo.open("big", "rb") as file:
                file.seek(number * 500)
                return file.read(500)

        with ThreadPoolExecutor(8) as pool:
            assert b"".join(pool.map(read, range(200))) == whole

    def test_a_file_outlives_its_repository(self, server, environment, tmp_path):
        with opened(server, tmp_path / "cache") as repo:
            file = repo.open("bin/tool", "rb")
            first = file.read(1)
        assert first + file.read() == (server.tree / "bin/tool").read_bytes()

    def test_fetched_files_are_read_without_the_server(self, server, environment, tmp_path):
        with opened(server, tmp_path / "cache") as repo:
            assert repo.fetch(["bin", "latest/er/text"]).files == 3
            everything = repo.fetch()
            assert everything.files == sum(
                len([n for n in f if repo.isfile(f"{d}/{n}") and not repo.islink(f"{d}/{n}")])
                for d, _, f in repo.walk()
            )
            assert everything.bytes > 100_000
            storage = server.places.storage
            storage.rename(storage.with_name("gone"))
            try:
                assert repo.read_bytes("big") == (server.tree / "big").read_bytes()
            finally:
                storage.with_name("gone").rename(storage)

    def test_damage_is_an_error_and_never_bytes(self, environment, tmp_path):
        server = Server(tmp_path / "server", fast_options())
        (server.tree / "a").write_text("content")
        server.publish()
        with server.revision() as revision:
            name = revision.lookup(b"/a").content.path
        (server.places.storage / name).write_bytes(b"rubbish")
        with opened(server, tmp_path / "cache") as repo, pytest.raises(CorruptObject):
            repo.read_bytes("a")


def test_extended_attributes_are_read(tmp_path, environment):
    server = Server(tmp_path / "server", fast_options())
    (server.tree / "a").touch()
    try:
        os.setxattr(server.tree / "a", "user.colour", b"red\0")
    except OSError:
        pytest.skip("the file system of the temporary directory takes no extended attributes")
    (server.tree / "l").symlink_to("a")
    server.publish()
    with opened(server, tmp_path / "cache") as repo:
        assert repo.listxattr("l") == ["user.colour"]
        assert repo.getxattr("l", "user.colour") == b"red\0"
        assert repo.listxattr("l", follow_symlinks=False) == []


class TestLife:
    def test_after_closing_every_use_is_refused(self, server, environment, tmp_path):
        repo = opened(server, tmp_path / "cache")
        repo.close()
        repo.close()
        assert "closed" in repr(repo)
        for use in (repo.listdir, repo.tags, repo.refresh, lambda: repo.revision):
            with pytest.raises(ValueError, match="was closed"):
                use()

    def test_a_repository_that_is_forgotten_lets_go_of_its_files(self, server, environment, tmp_path):
        def ours():
            return [link for fd in os.listdir("/proc/self/fd") if str(tmp_path) in (link := _link(fd))]

        repo = opened(server, tmp_path / "cache")
        file = repo.open("big", "rb")
        file.read(1)
        repo.listdir("lib")
        assert ours()
        del repo, file
        gc.collect()
        assert not ours()

    def test_a_program_that_closes_nothing_ends_at_once_and_in_peace(self, server, environment, tmp_path):
        code = f"import swrepo\nr = swrepo.open({str(server.places.storage)!r}, key={str(server.places.keys.public)!r}, cache={str(tmp_path)!r})\nf = r.open('bin/tool')\nprint(f.readline())"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "#!/bin/sh\n\n", "")
        assert list((tmp_path / "txn").iterdir()) == []

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_forked_child_goes_on_reading_and_its_end_does_not_disturb_the_parent(self, repo, server):
        repo.read_bytes("bin/tool")
        file = repo.open("big", "rb", 0)
        child = multiprocessing.get_context("fork").Process(target=_read_in_child, args=(repo, file, server.tree))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert repo.read_bytes("empty") == b""
        assert file.read() == (server.tree / "big").read_bytes()
        file.close()

    def test_importing_the_package_loads_nothing_of_it(self):
        code = "import sys, swrepo; print([m for m in sys.modules if m.startswith('swrepo.')]); swrepo.Tag; print(len(dir(swrepo)) > 7)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\nTrue\n"
        with pytest.raises(AttributeError, match="no attribute 'opne'"):
            _ = swrepo.opne

    def test_every_public_name_is_there_and_has_its_types(self):
        stub = Path(swrepo.__file__).with_suffix(".pyi").read_text()
        for name in swrepo.__all__:
            assert getattr(swrepo, name)
            assert f'"{name}"' in stub

    def test_threads_may_refresh_and_read_at_once(self, environment, tmp_path):
        server = Server(tmp_path / "server", fast_options())
        (server.tree / "a").write_text("0")
        server.publish()
        with opened(server, tmp_path / "cache") as repo:
            over = threading.Event()

            def read():
                while not over.is_set():
                    assert repo.read_text("a") in {"0", "1", "2"}
                return True

            with ThreadPoolExecutor(2) as pool:
                reading = [pool.submit(read) for _ in range(2)]
                for number in "12":
                    (server.tree / "a").write_text(number)
                    server.publish()
                    assert repo.refresh()
                over.set()
                assert all(future.result() for future in reading)


def _link(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _read_in_child(repo, file, tree):
    assert file.read() == (tree / "big").read_bytes()
    assert repo.read_text("lib/deep/er/text") == (tree / "lib/deep/er/text").read_bytes().decode()
    assert repo.stat("lib").st_mode


def test_magic_attributes_are_those_of_a_mount(repo):
    assert repo.getxattr("", "user.fqrn") == repo.name.encode()
    assert repo.getxattr("", "user.root_hash") == repo.hash.encode()
    assert repo.getxattr("big", "user.chunk_list").startswith(b"hash,offset,size\n")
    assert repo.getxattr("big", "user.compression") == b"zlib"
    assert b"regular," in repo.getxattr("", "user.repo_counters")
    for of_files_or_mounts in ("user.hash", "user.pid"):
        with pytest.raises(NoAttribute):
            repo.getxattr("", of_files_or_mounts)
