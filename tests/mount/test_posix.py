"""A mount against a plain directory with the same content: docs/semantics.md names every difference."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import stat
import struct
import subprocess
import sys
import termios
from collections import defaultdict
from pathlib import Path

import pytest

from tests.mount.posix import CHUNK, PAGE, SIZES, Both, both, build, is_root, libc, outcome, syscall, walk

pytestmark = pytest.mark.mount

_AT_FDCWD = -100
_AT_EACCESS = 0x200


@pytest.fixture(scope="module")
def tree():
    with both(build) as found:
        yield found


# Attributes


def attributes(path: bytes) -> tuple:
    """Everything of lstat that is published. A directory's size is the one thing that differs: it is 4096."""
    found = os.lstat(path)
    size = 4096 if stat.S_ISDIR(found.st_mode) else found.st_size
    return found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_rdev, size, found.st_mtime_ns


def test_every_path_has_the_attributes_of_the_plain_one(tree: Both) -> None:
    found = tree.same(lambda top: {path: attributes(top + path) for path in walk(top)})
    assert len(found) > 350


def test_sizes_in_blocks_and_all_three_times_follow_from_size_and_modification(tree: Both) -> None:
    for path in walk(tree.mount):
        found = os.lstat(tree.mount + path)
        assert found.st_blocks == -(-found.st_size // 512)
        assert found.st_blksize == 4096
        assert found.st_atime_ns == found.st_ctime_ns == found.st_mtime_ns
        assert found.st_dev == os.lstat(tree.mount).st_dev


def test_names_of_one_file_share_its_number_and_no_others_do(tree: Both) -> None:
    def groups(top: bytes) -> set[frozenset[bytes]]:
        found: dict[int, set[bytes]] = defaultdict(set)
        for path in walk(top):
            found[os.lstat(top + path).st_ino].add(path)
        return {frozenset(paths) for paths in found.values()}

    assert frozenset({b"/links/one", b"/links/two", b"/links/three"}) in tree.same(groups)


def test_stat_fstat_fstatat_and_a_descriptor_without_access_agree(tree: Both) -> None:
    directory = os.open(tree.mount + b"/sizes", os.O_RDONLY | os.O_DIRECTORY)
    for size in SIZES:
        name = b"%d" % size
        expected = os.stat(tree.mount + b"/sizes/" + name)
        assert os.stat(name, dir_fd=directory) == expected
        for flags in (os.O_RDONLY, os.O_PATH):
            descriptor = os.open(name, flags, dir_fd=directory)
            assert os.fstat(descriptor) == expected
            os.close(descriptor)
    os.close(directory)


def test_a_time_of_birth_is_not_known(tree: Both) -> None:
    buffer = ctypes.create_string_buffer(256)
    assert libc.statx(_AT_FDCWD, tree.mount + b"/sizes/512", 0, 0xFFF, buffer) == 0
    (mask,) = struct.unpack_from("=I", buffer)
    assert mask & 0x7FF == 0x7FF, "all that stat has"
    assert not mask & 0x800, "and no time of birth"


def test_statvfs_says_read_only_and_full(tree: Both) -> None:
    found = os.statvfs(tree.mount)
    assert found.f_flag & os.ST_RDONLY
    assert (found.f_namemax, found.f_bsize, found.f_frsize) == (255, 4096, 4096)
    assert found.f_bavail == found.f_bfree == found.f_ffree == 0
    assert found.f_files >= len(walk(tree.mount))
    assert found.f_blocks > 0


@pytest.mark.skipif(not is_root(), reason="needs to become several users")
@pytest.mark.parametrize("user", [0, 12345, 65534])
def test_access_is_by_modes_as_for_any_file_system(tree: Both, user: int) -> None:
    script = """
import os, sys
user, top = int(sys.argv[1]), os.fsencode(sys.argv[2])
os.setgroups([]); os.setgid(user); os.setuid(user)
for directory, directories, files in os.walk(top):
    directories.sort()
    for name in sorted(directories + files):
        path = os.path.join(directory, name)
        found = [os.access(path, how, follow_symlinks=False) for how in (os.F_OK, os.R_OK, os.X_OK, os.W_OK)]
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
            found.append("opens")
        except OSError as error:
            found.append(error.errno)
        print(path[len(top):], found)
"""

    def accesses(top: bytes) -> str:
        command = [sys.executable, "-c", script, str(user), os.fsdecode(top)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "modes/file-0444" in tree.same(accesses)


# Bytes


def borders(size: int) -> list[int]:
    """Offsets around the borders of pages, chunks and the end."""
    around = (0, 1, 512, PAGE, 2 * PAGE, CHUNK // 2, CHUNK, 2 * CHUNK, size // 2, size, size + PAGE, size + (1 << 40))
    return sorted({offset + by for offset in around for by in (-1, 0, 1) if offset + by >= 0})


def test_partial_reads_at_every_border_give_the_same_bytes(tree: Both) -> None:
    def reads(top: bytes) -> dict:
        found = {}
        for size in SIZES:
            descriptor = os.open(b"%s/sizes/%d" % (top, size), os.O_RDONLY)
            for offset in borders(size):
                for length in (0, 1, 2, PAGE - 1, PAGE, PAGE + 1, CHUNK + 1):
                    found[size, offset, length] = os.pread(descriptor, length, offset)
            os.close(descriptor)
        return found

    tree.same(reads)


def test_direct_reads_that_pass_by_the_page_cache_give_the_same_bytes(tree: Both) -> None:
    def read(top: bytes) -> object:
        descriptor = os.open(top + b"/sizes/100000", os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, 1 << 17)
        found = [os.preadv(descriptor, [buffer], offset) for offset in (PAGE, 0)]
        content = buffer[:100_000]
        os.close(descriptor)
        return found, content

    tree.same(read)


def test_impossible_reads_fail_alike(tree: Both) -> None:
    def attempts(top: bytes) -> list:
        file, directory = os.open(top + b"/sizes/512", os.O_RDONLY), os.open(top, os.O_RDONLY)
        path = os.open(top + b"/sizes/512", os.O_PATH)
        found = [
            outcome(lambda: os.pread(file, 1, -1)),
            outcome(lambda: os.pread(file, 1, 2**63 - 1)),
            outcome(lambda: os.read(directory, 1)),
            outcome(lambda: os.read(path, 1)),
            outcome(lambda: os.write(file, b"x")),
            outcome(lambda: os.lseek(file, -1, os.SEEK_SET)),
            outcome(lambda: os.lseek(file, 10, os.SEEK_END)),
            outcome(lambda: os.ftruncate(file, 0)),
            outcome(lambda: os.fsync(file)),
            outcome(lambda: os.fdatasync(directory)),
        ]
        for descriptor in (file, directory, path):
            os.close(descriptor)
        return found

    tree.same(attempts)


def test_ways_of_opening_have_the_same_outcome(tree: Both) -> None:
    ways = {
        name: getattr(os, name)
        for name in ("O_RDONLY", "O_PATH", "O_DIRECTORY", "O_NOFOLLOW", "O_NOATIME", "O_NONBLOCK", "O_DIRECT", "O_SYNC")
    }

    def openings(top: bytes) -> dict:
        found = {}
        for path in (
            b"",
            b"/sizes",
            b"/sizes/512",
            b"/links/relative",
            b"/links/directory",
            b"/links/broken",
            b"/none",
        ):
            for name, flags in ways.items():
                if name == "O_DIRECT" and path in (b"", b"/sizes", b"/links/directory"):
                    continue  # no file system gives it a meaning
                found[path, name] = outcome(lambda path=path, flags=flags: os.close(os.open(top + path, flags)))
        return found

    assert tree.same(openings)[b"/links/relative", "O_NOFOLLOW"] == "ELOOP"


@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_mappings_show_the_file_and_zeros_up_to_the_end_of_its_last_page(tree: Both, size: int) -> None:
    def mapped(top: bytes) -> list:
        descriptor = os.open(b"%s/sizes/%d" % (top, size), os.O_RDONLY)
        length = -(-size // PAGE) * PAGE
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        found = []
        for flags in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
            address = libc.mmap(None, length, mmap.PROT_READ, flags, descriptor, 0)
            found.append(ctypes.string_at(address, length))
            libc.munmap(ctypes.c_void_p(address), length)
        os.close(descriptor)
        return found

    private, shared = tree.same(mapped)
    assert private == shared
    assert not any(private[size:])


def test_a_private_mapping_can_be_written_and_a_shared_one_cannot(tree: Both) -> None:
    def attempts(top: bytes) -> list:
        with open(top + b"/sizes/100000", "rb") as file:
            private = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            private[:5] = b"12345"
            mine, theirs = private[:10], file.read(10)
            private.close()
            shared = outcome(
                lambda: mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            )
            executable = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
            executable.close()
        return [mine, theirs, shared]

    assert tree.same(attempts)[2] == "EACCES"


def test_a_mapping_outlives_its_descriptor_and_ends_with_sigbus_behind_the_last_page(tree: Both) -> None:
    script = """
import ctypes, mmap, os, sys
descriptor = os.open(sys.argv[1], os.O_RDONLY)
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
address = libc.mmap(None, 5 * 4096, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
os.close(descriptor)
print(ctypes.string_at(address, 4097).hex(), flush=True)
ctypes.string_at(address + 3 * 4096, 1)
"""

    def run(top: bytes) -> tuple:
        command = [sys.executable, "-c", script, os.fsdecode(top + b"/sizes/4097")]
        done = subprocess.run(command, check=False, capture_output=True)
        return done.returncode, done.stdout

    code, shown = tree.same(run)
    assert code == -7
    assert len(shown) == 2 * 4097 + 1


def test_holes_are_read_as_zeros_and_count_as_data(tree: Both) -> None:
    tree.same(lambda top: Path(os.fsdecode(top + b"/sparse")).read_bytes())
    descriptor = os.open(tree.mount + b"/sparse", os.O_RDONLY)
    assert os.lseek(descriptor, 1000, os.SEEK_DATA) == 1000
    assert os.lseek(descriptor, 1000, os.SEEK_HOLE) == 1 << 20
    assert outcome(lambda: os.lseek(descriptor, 1 << 20, os.SEEK_DATA)) == "ENXIO"
    os.close(descriptor)


def test_the_kernel_copies_from_it_as_from_any_file(tree: Both, tmp_path: Path) -> None:
    def copies(top: bytes) -> tuple:
        source = os.open(top + b"/sizes/300001", os.O_RDONLY)
        target = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        position = 0
        while position < 300_001:
            position += os.sendfile(target, source, position, 300_001)
        sent = os.pread(target, 400_000, 0)
        reader, writer = os.pipe()
        spliced = os.splice(source, writer, 4096, 10), os.read(reader, 5000)
        for descriptor in (source, target, reader, writer):
            os.close(descriptor)
        return sent, spliced

    tree.same(copies)


def test_a_copy_by_range_to_another_file_system_is_refused_as_between_any_two(tree: Both, tmp_path: Path) -> None:
    with open(tree.mount + b"/sizes/512", "rb") as source, open(tmp_path / "copy", "wb") as target:
        assert outcome(lambda: os.copy_file_range(source.fileno(), target.fileno(), 512)) == "EXDEV"
    subprocess.run(["cp", tree.mount + b"/sizes/512", tmp_path / "copied"], check=True)
    assert (tmp_path / "copied").stat().st_size == 512


# Programs


def test_programs_and_scripts_run_and_others_fail_alike(tree: Both) -> None:
    def runs(top: bytes) -> dict:
        found = {}
        for name in sorted(os.listdir(top + b"/programs")):
            if name == b"sleep":
                continue
            command = [top + b"/programs/" + name, top + b"/sizes/513"]
            found[name] = outcome(
                lambda command=command: subprocess.run(command, check=False, capture_output=True).stdout
            )
        return {name: shown.replace(top, b"") if isinstance(shown, bytes) else shown for name, shown in found.items()}

    found = tree.same(runs)
    assert found[b"script"] == b"script /programs/script /sizes/513\n"
    assert (found[b"not-executable"], found[b"not-a-program"]) == ("EACCES", "ENOEXEC")


def test_a_running_program_knows_its_own_file(tree: Both) -> None:
    program = subprocess.Popen([tree.mount + b"/programs/sleep", "60"], cwd=tree.mount + b"/names/empty")
    try:
        assert os.readlink(f"/proc/{program.pid}/exe") == os.fsdecode(tree.mount + b"/programs/sleep")
        assert os.readlink(f"/proc/{program.pid}/cwd") == os.fsdecode(tree.mount + b"/names/empty")
        with open(f"/proc/{program.pid}/exe", "rb") as own, open(tree.mount + b"/programs/sleep", "rb") as file:
            assert own.read() == file.read()
            assert os.fstat(own.fileno()).st_ino == os.fstat(file.fileno()).st_ino
    finally:
        program.kill()
        program.wait()


def test_a_directory_can_be_worked_in(tree: Both) -> None:
    def inside(top: bytes) -> list[str]:
        script = "pwd -P; cat ../sizes/1; cd ..; pwd -P; ls names/empty; cat ./sizes/../sizes/1"
        done = subprocess.run(["sh", "-c", script], cwd=top + b"/names", check=True, capture_output=True)
        return done.stdout.replace(top, b"").split(b"\n")

    tree.same(inside)


# Names and links


def test_symbolic_links_lead_where_the_plain_ones_lead(tree: Both) -> None:
    def led(top: bytes) -> dict:
        found = {}
        for name in sorted(os.listdir(top + b"/links")):
            path = top + b"/links/" + name
            found[name] = (
                outcome(lambda path=path: os.readlink(path)),
                outcome(lambda path=path: os.stat(path).st_mode),
                outcome(lambda path=path: os.close(os.open(path, os.O_RDONLY))),
                outcome(lambda path=path: os.lstat(path + b"/").st_mode),
            )
        return found

    found = tree.same(led)
    assert found[b"self"][1] == found[b"ping"][1] == found[b"chain44"][1] == "ELOOP"
    assert found[b"chain38"][2] is None


def test_names_of_any_length_and_bytes_are_found_or_refused_alike(tree: Both) -> None:
    def looked_up(top: bytes) -> dict:
        names = [b"x" * length for length in (1, 254, 255, 256, 257, 1023, 1024, 1025, 2000, 4000)]
        names += [b"\xff" * 256, "é".encode() * 128, b"", b".", b"..", b"/", b"x/", b"no/such", b"a" * 255 + b"/b"]
        names += os.listdir(top + b"/names")
        return {name: outcome(lambda name=name: os.lstat(top + b"/names/" + name).st_size > 0) for name in names}

    found = tree.same(looked_up)
    assert found[b"x" * 255] is True
    assert found[b"x" * 256] == "ENAMETOOLONG"


def test_paths_up_to_the_longest_are_followed(tree: Both) -> None:
    def followed(top: bytes) -> list:
        deep = b"/deep" + (b"/" + b"d" * 240) * 15 + b"/file"
        found = [outcome(lambda: os.stat(top + deep).st_size)]
        descriptor = os.open(top, os.O_RDONLY)
        for length in (4094, 4095, 4096, 5000):
            path = b"sizes/" + b"./" * ((length - 10) // 2) + b"512"
            path = path.replace(b"./", b".//", length - len(path)) if len(path) < length else path
            found.append((len(path), outcome(lambda path=path: os.stat(path, dir_fd=descriptor).st_size)))
        os.close(descriptor)
        return found

    found = tree.same(followed)
    assert (4095, 512) in found
    assert (4096, "ENAMETOOLONG") in found


def test_a_file_is_no_directory(tree: Both) -> None:
    def attempts(top: bytes) -> list:
        return [
            outcome(lambda: os.stat(top + b"/sizes/512/")),
            outcome(lambda: os.stat(top + b"/sizes/512/below")),
            outcome(lambda: os.listdir(top + b"/sizes/512")),
            outcome(lambda: os.chdir(top + b"/sizes/512")),
            outcome(lambda: os.readlink(top + b"/sizes/512")),
            outcome(lambda: os.stat(top + b"/specials/fifo/below")),
        ]

    assert tree.same(attempts) == ["ENOTDIR"] * 4 + ["EINVAL", "ENOTDIR"]


def test_special_files_are_shown_and_do_what_special_files_do(tree: Both) -> None:
    def attempts(top: bytes) -> dict:
        found = {}
        for name in sorted(os.listdir(top + b"/specials")):
            path = top + b"/specials/" + name
            found[name] = outcome(lambda path=path: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK)))
        return found

    if tree.is_plain_read_only:
        found = tree.same(attempts)
        assert found[b"null"] == "EACCES", "devices need -o dev"
    else:
        found = attempts(tree.mount)
    assert found[b"socket"] == "ENXIO"
    assert found[b"fifo"] is None


# What would write


def test_everything_that_writes_is_refused_as_on_any_read_only_file_system(tree: Both) -> None:
    if not tree.is_plain_read_only:
        pytest.skip("comparing needs a bind mount")
    found = tree.same(writes)
    unexpected = {name: what for name, what in found.items() if what != "EROFS"}
    assert set(unexpected) <= {
        "mkdir that exists",
        "create exclusively what exists",
        "rename to another file system",
        "fallocate",
        "remove the top",
        "link of a link",
        "fifo for writing",
        "null for writing",
    }, "errors that come before the look at the file system"


def writes(top: bytes) -> dict:
    file, directory, new = top + b"/sizes/512", top + b"/names/empty", top + b"/names/empty/new"
    calls = {
        "open for writing": lambda: os.open(file, os.O_WRONLY),
        "open for both": lambda: os.open(file, os.O_RDWR),
        "truncate at opening": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "append": lambda: os.open(file, os.O_WRONLY | os.O_APPEND),
        "create": lambda: os.open(new, os.O_RDONLY | os.O_CREAT, 0o644),
        "create exclusively what exists": lambda: os.open(file, os.O_RDONLY | os.O_CREAT | os.O_EXCL),
        "temporary file": lambda: os.open(directory, os.O_TMPFILE | os.O_RDWR),
        "mkdir": lambda: os.mkdir(new),
        "mkdir that exists": lambda: os.mkdir(directory),
        "rmdir": lambda: os.rmdir(directory),
        "unlink": lambda: os.unlink(file),
        "rename": lambda: os.rename(file, new),
        "rename to another file system": lambda: os.rename(file, b"/tmp/swrepo-never"),
        "link": lambda: os.link(file, new),
        "link of a link": lambda: os.link(top + b"/links/one", top + b"/links/two"),
        "symlink": lambda: os.symlink(b"target", new),
        "mkfifo": lambda: os.mkfifo(new),
        "mknod": lambda: os.mknod(new, stat.S_IFREG | 0o644),
        "chmod": lambda: os.chmod(file, 0o600),
        "chown": lambda: os.chown(file, os.getuid(), os.getgid()),
        "lchown": lambda: os.lchown(top + b"/links/broken", os.getuid(), os.getgid()),
        "utime": lambda: os.utime(file),
        "utime of a link": lambda: os.utime(top + b"/links/broken", ns=(1, 1), follow_symlinks=False),
        "truncate": lambda: os.truncate(file, 0),
        "setxattr": lambda: os.setxattr(file, "user.new", b"value"),
        "removexattr": lambda: os.removexattr(top + b"/attributes", "user.text"),
        "remove the top": lambda: os.rmdir(top),
    }
    found = {name: outcome(call) for name, call in calls.items()}
    descriptor = os.open(file, os.O_RDONLY)
    found["fchmod"] = outcome(lambda: os.fchmod(descriptor, 0o600))
    found["fsetxattr"] = outcome(lambda: os.setxattr(descriptor, "user.new", b"value"))
    found["futimens"] = outcome(lambda: os.utime(descriptor))
    found["fallocate"] = outcome(lambda: os.posix_fallocate(descriptor, 0, 1000))
    os.close(descriptor)
    return found


def test_locks_work_between_processes(tree: Both) -> None:
    script = """
import errno, fcntl, os, sys
file = open(sys.argv[1], "rb")
for call, how in ((fcntl.flock, fcntl.LOCK_EX), (fcntl.flock, fcntl.LOCK_SH), (fcntl.lockf, fcntl.LOCK_SH), (fcntl.lockf, fcntl.LOCK_EX)):
    try:
        call(file, how | fcntl.LOCK_NB)
        print("ok")
        call(file, fcntl.LOCK_UN)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""

    def locks(top: bytes) -> list[str]:
        path = top + b"/sizes/512"
        found = []
        with open(path, "rb") as mine:
            for call, how in ((None, 0), (fcntl.flock, fcntl.LOCK_SH), (fcntl.flock, fcntl.LOCK_EX)):
                if call is not None:
                    call(mine, how)
                command = [sys.executable, "-c", script, os.fsdecode(path)]
                found.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return found

    found = tree.same(locks)
    assert found[0] == "ok\nok\nok\nEBADF\n"
    assert found[2].startswith("EAGAIN\nEAGAIN\n")


# Extended attributes


def test_extended_attributes_answer_like_the_plain_ones(tree: Both) -> None:
    def asked(top: bytes) -> dict:
        found: dict = {}
        for path in (b"/attributes", b"/attributed-directory", b"/sizes/512", b"/links/relative", b"/specials/fifo"):
            for name in (
                b"user.text",
                b"user.empty",
                b"user.bytes",
                b"user.none",
                b"trusted.secret",
                b"trusted.none",
                b"security.label",
                b"security.none",
                b"user." + b"x" * 251,
                b"x" * 256,
                b"",
            ):
                for size in (0, 1, 4, 5, 6, 1000):
                    buffer = ctypes.create_string_buffer(1000)
                    length = syscall("lgetxattr", top + path, name, buffer, size)
                    found[path, name, size] = length, buffer.raw[: length if isinstance(length, int) and size else 0]
            buffer = ctypes.create_string_buffer(1000)
            for size in (0, 1, 5, 1000):
                length = syscall("llistxattr", top + path, buffer, size)
                names = set(buffer.raw[:length].split(b"\0")) if isinstance(length, int) and size else set()
                found[path, size] = length, names
        return found

    found = tree.same(asked)
    assert found[b"/attributes", b"user.text", 4][0] == "ERANGE"
    assert found[b"/attributes", b"user.none", 0][0] == "ENODATA"


@pytest.mark.skipif(not is_root(), reason="needs to become another user")
def test_trusted_attributes_are_for_root_only(tree: Both) -> None:
    script = """
import ctypes, os, sys
os.setgid(12345); os.setuid(12345)
path = sys.argv[1]
print(sorted(os.listxattr(path)))
for name in ("user.text", "trusted.secret", "security.label"):
    try:
        print(os.getxattr(path, name))
    except OSError as error:
        print(error.errno)
"""

    def asked(top: bytes) -> str:
        command = [sys.executable, "-c", script, os.fsdecode(top + b"/attributes")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert f"\n{errno.ENODATA}\n" in tree.same(asked)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("security.selinux", "EOPNOTSUPP"),
        ("security.capability", "EOPNOTSUPP"),
        ("system.posix_acl_access", "EOPNOTSUPP"),
        ("other.name", "ENODATA"),
        ("user.", "ENODATA"),
    ],
)
def test_some_attributes_are_not_supported_so_that_nobody_asks_again(tree: Both, name: str, error: str) -> None:
    found = outcome(lambda: os.getxattr(tree.mount + b"/sizes/512", name))
    assert found == error.replace("EOPNOTSUPP", errno.errorcode[errno.EOPNOTSUPP])


def test_what_else_differs_from_a_local_disk(tree: Both) -> None:
    file, directory = os.open(tree.mount + b"/sizes/512", os.O_RDONLY), os.open(tree.mount, os.O_RDONLY)
    get_flags, get_extents, room = 0x80086601, 0xC020660B, bytearray(512)
    not_supported = errno.errorcode[errno.EOPNOTSUPP]
    with select.epoll() as poll:
        assert outcome(lambda: poll.register(file, select.EPOLLIN)) is None
        assert poll.poll(0) == [(file, select.EPOLLIN)]
    assert outcome(lambda: fcntl.ioctl(file, get_flags, room)) == "ENOTTY"
    assert outcome(lambda: fcntl.ioctl(file, get_extents, room)) == not_supported
    assert outcome(lambda: os.preadv(file, [bytearray(10)], 0, os.RWF_NOWAIT)) == not_supported
    assert os.lseek(directory, 0, os.SEEK_END) == 4096
    os.close(file)
    os.close(directory)


def test_descriptors_answer_what_programs_ask_of_them(tree: Both) -> None:
    def asked(top: bytes) -> list:
        descriptor = os.open(top + b"/sizes/100000", os.O_RDONLY)
        waiting = select.poll()
        waiting.register(descriptor)
        found = [
            waiting.poll(0)[0][1],
            outcome(lambda: fcntl.fcntl(descriptor, fcntl.F_GETFL)),
            outcome(lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)),
            outcome(lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)),
            outcome(lambda: os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)),
            outcome(lambda: os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)),
            outcome(lambda: fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))),
            outcome(lambda: os.isatty(descriptor)),
            outcome(lambda: os.fpathconf(descriptor, "PC_NAME_MAX")),
            syscall("syncfs", descriptor),
        ]
        os.close(descriptor)
        return found

    tree.same(asked)


# Watching


def test_a_watch_sees_what_programs_do_there(tree: Both) -> None:
    def seen(top: bytes) -> list[tuple[int, bytes]]:
        watcher = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(watcher, top + b"/sizes", 0xFFF) >= 0
        Path(os.fsdecode(top + b"/sizes/512")).read_bytes()
        data = os.read(watcher, 4096)
        os.close(watcher)
        found = []
        while data:
            _, mask, _, length = struct.unpack_from("=iIII", data)
            found.append((mask, data[16 : 16 + length].rstrip(b"\0")))
            data = data[16 + length :]
        return found

    assert (0x20, b"512") in tree.same(seen)
