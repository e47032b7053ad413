"""`cvmfs_server enter`: a command that can write to a repository, as root and as an ordinary user, for itself alone."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from swrepo.repository.walk import walk
from tests.mount import ordinary
from tests.mount.mounted import require_namespaces, wait_until
from tests.mount.programs import PROGRAMS
from tests.publishing import Server

pytestmark = pytest.mark.mount


class Caller:
    """Somebody with a repository of their own, which nobody has a work tree of."""

    def __init__(self, prefix: Path, *, is_ordinary: bool) -> None:
        self.server = Server(prefix)
        self.server.clock.ns = time.time_ns() - 7200 * 10**9
        self.fqrn = self.server.fqrn
        self.place = f"/cvmfs/{self.fqrn}"
        self.home = prefix / "home"
        self.home.mkdir()
        tree = self.server.tree
        (tree / "directory/below").mkdir(parents=True)
        (tree / "file").write_text("file\n")
        (tree / "directory/below/deep").write_text("deep\n")
        self.server.publish()
        for path in tree.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.is_ordinary = is_ordinary
        if is_ordinary:
            for path in (prefix, *prefix.rglob("*")):
                os.lchown(path, ordinary.USER, ordinary.USER)

    def start(self, *words: object) -> subprocess.Popen[str]:
        command = [str(PROGRAMS / "cvmfs_server"), "enter", *map(str, words)]
        if self.is_ordinary:
            command = ordinary.command(command, self.server.layout.prefix.parent)
        environment = {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "SWREPO_PREFIX": str(self.server.layout.prefix),
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd="/")

    def run(self, *words: object, code: int = 0) -> str:
        """Both outputs."""
        process = self.start(*words)
        out, complaints = process.communicate(timeout=60)
        assert process.returncode == code, f"{process.returncode}: {out}{complaints}"
        return out + complaints

    def shell(self, script: str, *options: str, code: int = 0) -> str:
        return self.run(*options, self.fqrn, "--", "sh", "-euc", f"cd {self.place}\n{script}", code=code)

    def processes(self) -> list[str]:
        """All that were started by this caller and have not ended."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment, state = (entry / "environ").read_bytes(), (entry / "stat").read_text().rpartition(")")[2]
            except OSError:
                continue
            if str(self.home).encode() in environment and state.split()[0] != "Z":
                found.append(entry.name)
        return found

    def left_nothing(self) -> None:
        wait_until(lambda: self.processes() == [])
        assert str(self.home) not in Path("/proc/self/mountinfo").read_text()
        assert list(self.home.iterdir()) == []


@pytest.fixture
def caller(request, tmp_path):
    """An ordinary user, unless the test asks for root."""
    require_namespaces()
    tmp_path.chmod(0o755)
    found = Caller(tmp_path / "server", is_ordinary=os.geteuid() == 0 and getattr(request, "param", "") != "root")
    yield found
    found.left_nothing()


CHANGES = """
echo more >> file
rm directory/below/deep
mkdir made && mv made renamed && echo new > renamed/new
find . | sort
cat file
"""


@pytest.mark.parametrize("caller", ["ordinary", "root"], indirect=True)
def test_the_command_writes_and_it_is_gone_with_it(caller) -> None:
    said = caller.shell(CHANGES).splitlines()
    assert said == [".", "./directory", "./directory/below", "./file", "./renamed", "./renamed/new", "file", "more"]
    assert caller.shell("find . -type f | sort; cat file").splitlines() == ["./directory/below/deep", "./file", "file"]
    assert caller.server.manifest().revision == 2


def test_its_exit_status_is_passed_on_and_what_it_left_ends(caller) -> None:
    caller.shell("sleep 1000 & exit 7", code=7)
    assert "no-such-program" in caller.run(caller.fqrn, "--", "no-such-program", code=127)
    process = caller.start(caller.fqrn, "--", "sh", "-c", "echo here; exec sleep 1000")
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM


def test_what_was_killed_while_it_began_or_ended_is_removed_by_the_next(caller) -> None:
    above = caller.home / ".cvmfs" / caller.fqrn
    for name, inside in (("session-begun", []), ("session-half-gone", ["in-use", "scratch/current/x"])):
        (above / name).mkdir(parents=True)
        for path in inside:
            (above / name / path).parent.mkdir(parents=True, exist_ok=True)
            (above / name / path).touch()
    if caller.is_ordinary:
        for path in (above.parent, *above.parent.rglob("*")):
            os.chown(path, ordinary.USER, ordinary.USER)
    assert "file" in caller.shell("ls")  # and the fixture sees that nothing is left


def test_in_a_transaction_it_publishes_what_it_changed(caller) -> None:
    said = caller.shell(CHANGES + f"cvmfs_server publish -v {caller.fqrn}", "-t")
    assert "published revision 3: 2 added" in said
    with caller.server.revision() as revision:
        assert {one.name for one in revision.listing(b"")} == {b"directory", b"file", b"renamed"}
        assert revision.listing(b"/directory/below") == []
        with revision.content(b"/file") as content:
            assert content.pread(0, 100) == b"file\nmore\n"


def test_what_was_published_from_there_can_be_removed_again_there(caller) -> None:
    caller.shell(
        f"""
mkdir new directory/more && touch new/one new/two directory/more/file top
rm file
cvmfs_server publish {caller.fqrn}
rm -r new directory/more top && mkdir new && echo again > new/three
cp directory/below/deep file
cvmfs_server publish {caller.fqrn}
""",
        "-t",
    )
    with caller.server.revision() as revision:
        found = {path: entry.size for path, entry in walk(revision) if not entry.is_directory}
    assert found == {b"/directory/below/deep": 5, b"/file": 5, b"/new/three": 6}


def test_what_cannot_be_published_is_refused_before_anything_is_done(caller) -> None:
    said = caller.shell(f"cvmfs_server publish {caller.fqrn}", code=errno.EINVAL)
    assert "is to be forgotten" in said
    (caller.server.tree / "work").touch()
    assert "would undo" in caller.shell("true", "-t", code=2)
    caller.server.places.in_transaction.touch()
    assert "is open" in caller.shell("true", "-t", code=errno.EEXIST)
    assert "no repository of this server" in caller.run("-t", "other.example.org", code=2)


def test_in_there_one_can_be_root_and_what_a_killed_one_left_is_removed_by_the_next(caller) -> None:
    process = caller.start("-r", caller.fqrn, "--", "sh", "-c", f"id -u; stat -c %u {caller.place}/file; sleep 1000")
    assert [process.stdout.readline() for _ in range(2)] == ["0\n", "0\n"]
    process.kill()
    process.communicate()
    wait_until(lambda: caller.processes() == [])
    assert list(caller.home.rglob("session*"))
    caller.shell("true")
