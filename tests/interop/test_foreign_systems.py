"""`swrepo ls|cat|cp|find|stat|tags|verify` as programs, on simulated macOS and Windows, against golden repositories.

What this proves: that no line on the way of these commands needs a call, constant or module which those systems lack
(`foreign_system.py` takes them away before swrepo is imported), nor a name that they do not hold, and that what is
open is never removed or replaced, as Windows demands. What it does not prove: that those systems' own calls (kqueue,
select on Windows' sockets, os.replace, drive letters and backslashes, links and their privilege, console encodings)
and the wheels of pycurl and the other libraries do what their documentation says. Only a run there would.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from swrepo.client.local_files import folded, folds_case, windows_objection
from swrepo.errors import Busy, MountFailed
from swrepo.system.positional import SharedPosition
from tests.golden import CLOCK, golden, variants_of_this_machine

RUNNER = Path(__file__).with_name("foreign_system.py")
FOREIGN = ("macos", "windows")
ENCODINGS = {"macos": "utf-8", "windows": "cp1252"}
BEFORE_1970 = re.compile(rb"@-[0-9]+|19[0-6][0-9]-[0-9]{2}-[0-9]{2} [0-9:]+")

Run = Callable[..., subprocess.CompletedProcess[bytes]]


class GoldenHandler(SimpleHTTPRequestHandler):
    """Serves golden-NAME below /cvmfs/golden-NAME.example.org/."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def translate_path(self, path: str) -> str:
        fqrn, _, inner = path.removeprefix("/cvmfs/").partition("/")
        return str(golden(fqrn.split(".")[0].removeprefix("golden-")).served / inner)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), GoldenHandler) as httpd:
        httpd.daemon_threads = True
        thread = Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/cvmfs"
        httpd.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def run(server: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command as on a system: `run(system, command, repository, path, *more)`."""
    home = tmp_path_factory.mktemp("home")

    def running(system: str, command: str, name: str, path: str = "", *more: str, code: int = 0, encoding: str = ""):
        words = [command, f"{server}/golden-{name}.example.org{path}", *more, "--key", str(golden(name).public_key)]
        words += ["--cache", str(home / f"{system}-cache")]
        done = subprocess.run(
            [sys.executable, "-W", "error", str(RUNNER), system, CLOCK.isoformat(), *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "TZ": "UTC",
                "PYTHONIOENCODING": encoding or ENCODINGS.get(system, "utf-8"),
                "SWREPO_DEBUG": "1",
                "GOLDEN_SET": "golden-value",
            },
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stderr.decode()
        return done

    return running


@pytest.mark.parametrize("system", FOREIGN)
@pytest.mark.parametrize(
    ("command", "name", "path", "more"),
    [
        ("ls", "basic", "/names", ["-a"]),
        ("ls", "basic", "", ["-n", "-R"]),
        ("ls", "basic", "", ["--json", "-R"]),
        ("find", "nested", "", []),
        ("find", "nested", "", ["-type", "f", "-size", "+1k"]),
        ("find", "basic", "/names", ["-print0"]),
        ("stat", "basic", "/files", []),
        ("stat", "basic", "/special/chr-5-300", ["--json"]),
        ("tags", "basic", "", []),
        ("tags", "history", "", ["--json"]),
        ("verify", "basic", "", []),
        ("verify", "nested", "", ["--json"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_command_prints_what_it_prints_on_linux(
    run: Run, system: str, command: str, name: str, path: str, more: list[str]
) -> None:
    encoding = ENCODINGS[system]
    expected = run("linux", command, name, path, *more, encoding=encoding).stdout
    found = run(system, command, name, path, *more, encoding=encoding)
    assert BEFORE_1970.sub(b"", found.stdout) == BEFORE_1970.sub(b"", expected)
    assert len(expected) > 50
    assert found.stderr == b""


@pytest.mark.parametrize("system", FOREIGN)
def test_long_lines_have_owners_and_every_time(run: Run, system: str) -> None:
    lines = run(system, "ls", "basic", "/mtimes", "-l").stdout.decode().splitlines()
    owner = "0        0" if system == "windows" else "root     root"
    assert all(f" {owner} " in line for line in lines)
    (before,) = [line for line in lines if line.endswith(" f-neg")]
    assert ("@-1" if system == "windows" else "1969-12-31 23:59") in before


@pytest.mark.parametrize("system", FOREIGN)
@pytest.mark.parametrize("name", ["basic", "nested", "chunked"])
def test_cat_writes_the_bytes_of_whole_and_chunked_files(run: Run, system: str, name: str) -> None:
    files = sorted((row for row in golden(name).rows if row.type == "f" and row.size < 30 << 20), key=lambda r: r.size)
    for row in (files[0], files[len(files) // 2], files[-1]):
        found = run(system, "cat", name, os.fsdecode(row.path).replace("%", "%25")).stdout
        assert hashlib.sha256(found).hexdigest() == row.sha256, row.path


def cannot_be_here(system: str, path: bytes, seen: set[str]) -> bool:
    """What a person would say of a name, part by part."""
    if system == "macos":
        refused = path.decode("utf-8", "replace").encode() != path
    else:
        parts = path.decode("utf-8", "surrogateescape").split("/")[1:]
        refused = any(re.search(r'[<>:"\\|?*\0-\x1f\udc80-\udcff]|[. ]$', part) for part in parts)
    if refused:
        return True
    one = path.decode().casefold()
    return one in seen or seen.add(one) is not None


@pytest.mark.parametrize("system", FOREIGN)
@pytest.mark.parametrize("name", ["basic", "nested"])
def test_cp_copies_all_that_the_system_can_hold_and_names_the_rest(
    run: Run, system: str, name: str, tmp_path: Path
) -> None:
    rows = [row for row in golden(name).rows if variants_of_this_machine(row)]
    out = os.fsencode(tmp_path / "copy")
    done = run(system, "cp", name, "", "-rp", str(tmp_path / "copy"), code=1 if name == "basic" else 0)
    notes = [line for line in done.stderr.decode().splitlines() if not line.startswith("copied")]
    missing, seen = [], set()
    for row in rows:
        here = out + row.path
        if cannot_be_here(system, row.path, seen) or row.type not in "dfl" or not os.path.lexists(here):
            missing.append(row.path)
            continue
        status = os.lstat(here)
        assert {"d": stat.S_ISDIR, "f": stat.S_ISREG, "l": stat.S_ISLNK}[row.type](status.st_mode), row.path
        if row.type == "f":
            os.chmod(here, 0o600)  # an ordinary user may not read all that was copied with its mode
            assert hashlib.sha256(Path(os.fsdecode(here)).read_bytes()).hexdigest() == row.sha256, row.path
    below = [path for path in missing if os.path.dirname(path) in missing]
    unset = [path for path in missing if path.startswith(b"/links/var-")]
    assert len(notes) == len(missing) - len(below)
    assert all(note.startswith("swrepo cp: left out /") and ": " in note for note in notes)
    assert [path for path in missing if path.startswith(b"/names/")] or name != "basic"
    assert {path for path in missing if not path.startswith((b"/names/", b"/special/"))} == set(unset)
    names = [name for _, directories, files in os.walk(tmp_path / "copy") for name in (*directories, *files)]
    assert not [name for name in names if name.startswith(".swrepo")]


def test_cp_over_a_copy_replaces_files_that_are_read_only(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        run("windows", "cp", "basic", "/modes", "-r", str(tmp_path / "modes"))
    assert any(not path.stat().st_mode & 0o200 for path in (tmp_path / "modes").rglob("*") if path.is_file())


@pytest.mark.parametrize("system", FOREIGN)
def test_an_export_is_made_and_brought_up_to_date(run: Run, system: str, tmp_path: Path) -> None:
    out, code = tmp_path / "export", 1 if system == "windows" else 0  # where there are no fifos
    first = json.loads(run(system, "export", "hardlinks", "", str(out), "--json", code=code).stdout)
    rows = [row for row in golden("hardlinks").rows if row.type == "f"]
    assert first["files"] + first["links"] >= len(rows) > 10
    for row in rows:
        here = os.fsencode(out) + row.path
        assert hashlib.sha256(Path(os.fsdecode(here)).read_bytes()).hexdigest() == row.sha256, row.path
    groups = {row.hlgroup for row in rows if row.hlgroup}
    assert groups
    for group in groups:
        inodes = {os.stat(os.fsencode(out) + row.path).st_ino for row in rows if row.hlgroup == group}
        assert len(inodes) == 1
    victim = Path(os.fsdecode(os.fsencode(out) + rows[0].path))
    victim.unlink()
    (out / "mine").touch()
    second = json.loads(run(system, "export", "hardlinks", "", str(out), "--json", "--delete", code=code).stdout)
    assert (second["files"] + second["links"] > 0, second["removed"]) == (True, 1)
    assert hashlib.sha256(victim.read_bytes()).hexdigest() == rows[0].sha256


EXPORTER = """
import sys
from pathlib import Path
from swrepo.api.export import NOTES
from swrepo.system.file_lock import try_to_lock
notes = Path(ARGUMENTS[0]) / NOTES
notes.mkdir(parents=True)
with open(notes / "lock", "ab") as lock:
    assert try_to_lock(lock.fileno())
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("system", FOREIGN)
def test_two_exports_into_one_directory_do_not_meet(run: Run, system: str, tmp_path: Path) -> None:
    out = tmp_path / "export"
    words = [sys.executable, str(RUNNER), system, CLOCK.isoformat(), "-c", EXPORTER, str(out)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        done = run(system, "export", "none", "", str(out), "--adopt", code=Busy.exit_code)
        assert b"another export writes to" in done.stderr
        first.communicate("\n", timeout=60)
    run(system, "export", "none", "", str(out), "--adopt")


READER = """
import hashlib, os, sys
import fsspec, swrepo
url, key, cache = ARGUMENTS
with swrepo.open(url, key=key, cache=cache) as repo:
    for directory, names, files in repo.walk():
        for name in files:
            path = f"{directory}/{name}".lstrip("/")
            if repo.lstat(path).kind == "file":
                with repo.open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                sys.stdout.buffer.write(digest.encode() + b" /" + path.encode("utf-8", "surrogateescape") + b"\\0")
    assert repo.fetch().files > 10
    try:
        repo.stat("no/such")
    except FileNotFoundError:
        pass
fs = fsspec.filesystem("cvmfs", server_url=url.rpartition("/")[0] + "/@fqrn@", key=key, cache=cache)
name = url.rpartition("/")[2]
found = [info for info in fs.find(name, detail=True).values() if info["type"] == "file"]
assert len(found) > 10
for data in fs.cat_ranges([info["name"] for info in found[:50]], 0, 5):
    assert isinstance(data, bytes), data
"""


@pytest.mark.parametrize("system", FOREIGN)
def test_python_programs_and_fsspec_read_every_file(run: Run, server: str, system: str, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    rows = {row.path: row.sha256 for row in golden("basic").rows if row.type == "f"}
    words = [f"{server}/golden-basic.example.org", str(golden("basic").public_key), str(tmp_path / "cache")]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(RUNNER), system, CLOCK.isoformat(), "-c", READER, *words],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SWREPO_DEBUG": "1"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = [line.partition(b" ") for line in done.stdout.split(b"\0") if line]
    assert {path: digest.decode() for digest, _, path in lines} == rows


@pytest.mark.parametrize("system", FOREIGN)
def test_mounting_needs_linux(run: Run, system: str, tmp_path: Path) -> None:
    done = run(system, "mount", "basic", "", str(tmp_path), code=MountFailed.exit_code)
    (sentence,) = [line for line in done.stderr.decode().splitlines() if line.startswith("swrepo")][-1:]
    assert sentence.startswith("swrepo mount needs Linux")


HOLDER = """
import os, sys
sys.path[:0] = sys.argv[1:3]
import foreign_system
foreign_system.become_windows()
from pathlib import Path
from swrepo.cache.disk import DiskCache
from swrepo.cache.named import NamedDirectory
from swrepo.cache.directory import enter
assert enter is NamedDirectory
place = enter(Path(sys.argv[3]))
descriptor, name = place.create()
os.close(descriptor)  # not even the unfinished file is open: the lock alone speaks for the session
print(name, flush=True)
sys.stdin.readline()
place.commit(name, "ab", "cdef")
place.close()
"""


class TestSessionsOfACacheOnWindows:
    """An unfinished file lives as long as its process: what is open can be neither removed nor moved there."""

    @pytest.fixture
    def start(self, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
        started: list[subprocess.Popen[str]] = []

        def start() -> subprocess.Popen[str]:
            words = [sys.executable, "-c", HOLDER, str(RUNNER.parent), str(RUNNER.parents[2]), str(tmp_path / "cache")]
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline()
            return process

        yield start
        for process in started:
            process.kill()
            process.communicate()

    def sessions(self, tmp_path: Path) -> int:
        return len(list((tmp_path / "cache/txn").iterdir()))

    def test_that_of_a_living_process_stays_and_that_of_a_killed_one_goes(
        self, tmp_path: Path, start: Callable[[], subprocess.Popen[str]]
    ) -> None:
        first, second = start(), start()
        assert self.sessions(tmp_path) == 2
        second.send_signal(signal.SIGKILL)
        second.wait()
        third = start()
        assert self.sessions(tmp_path) == 2
        for process in (first, third):
            process.communicate("go on\n", timeout=60)
            assert process.returncode == 0
        assert (tmp_path / "cache/ab/cdef").exists()
        assert self.sessions(tmp_path) == 0


@pytest.mark.parametrize(
    "name", [b"a", b".hidden", "é".encode(), b"con-tour", b"com10", b"nul_", b"a.b c", b"auxiliary"]
)
def test_names_that_windows_holds(name: bytes) -> None:
    assert windows_objection(name) is None


@pytest.mark.parametrize(
    "name", [b"a:b", b"a\\b", b"tab\t", b"end.", b"end ", b"NUL", b"con.txt", b"Com1", b"lpt9.a.b", b"\xff"]
)
def test_names_that_windows_does_not_hold(name: bytes) -> None:
    assert windows_objection(name)


def test_this_file_system_tells_names_by_their_case_and_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "probe").touch()
    if (tmp_path / "PROBE").exists():
        pytest.skip("tests run on a file system that folds case")
    assert not folds_case(os.fsencode(tmp_path))
    assert os.listdir(tmp_path) == ["probe"]


def test_names_in_two_forms_or_cases_are_one() -> None:
    assert folded("/É".encode()) == folded("/e\u0301".encode())
    assert folded(b"/a\xff") != folded(b"/a\xfe")


def test_threads_that_share_a_position_each_get_their_part(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    (tmp_path / "file").write_bytes(b"".join(number.to_bytes(4, "big") for number in range(20_000)))
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    shared = SharedPosition(descriptor)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: shared.read(4, 4 * number), range(20_000)))
    assert [int.from_bytes(part, "big") for part in found] == list(range(20_000))
    assert shared.read(4, 80_000) == b""
    os.close(descriptor)
