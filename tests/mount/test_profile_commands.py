"""`swrepo trace` and `swrepo profile`: from a program that runs to one that starts fast, as a publisher types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from swrepo.errors import NotFound, UsageError
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_namespaces, wait_until
from tests.mount.programs import PROGRAMS

pytestmark = pytest.mark.mount

HOME = f"/cvmfs/{FQRN}"
FILES = [f"lib/part{number}" for number in range(12)]


class Publisher:
    """Somebody who publishes on a server, in whose shell these commands are typed."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine(directory)
        self.work = directory / "work"
        self.work.mkdir()
        tree = self.machine.tree
        for directory_ in ("lib", "bin"):
            (tree / directory_).mkdir()
        for name in FILES:
            (tree / name).write_text(name * 100)
        (tree / "lib/noise").write_bytes(os.urandom(300_000))
        program = tree / "bin/prog"
        program.write_text(f"#!/bin/sh\ncd {HOME}; cat {' '.join(FILES)} lib/noise > /dev/null; echo done; exit 3\n")
        program.chmod(0o755)
        self.machine.publish("new", "new\n")

    def words(self, *words: object) -> list[str]:
        return [str(PROGRAMS / "swrepo"), *map(str, words)]

    def environment(self, prefix: Path) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.work), "SWREPO_PREFIX": str(prefix)}

    def run(self, *words: object, code: int | None = 0, prefix: Path | None = None) -> str:
        done = subprocess.run(
            self.words(*words),
            env=self.environment(prefix or self.machine.server),
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.said = done.stderr
        right = done.returncode == code if code is not None else done.returncode > 0
        assert right, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def trace(self, *command: str, code: int = 3) -> str:
        return self.run("trace", FQRN, "--output", "t", "--", *command, code=code, prefix=self.machine.prefix)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    require_namespaces()
    return Publisher(tmp_path)


def test_a_trace_becomes_a_profile_that_is_kept_up(publisher: Publisher) -> None:
    assert publisher.trace(f"{HOME}/bin/prog") == "done\n", "the command's own output and exit code"
    assert "14 files" in publisher.said
    lines = [json.loads(line) for line in (publisher.work / "t").read_text().splitlines()]
    assert [line["path"] for line in lines] == ["/bin/prog", *[f"/{name}" for name in FILES], "/lib/noise"]
    assert {line["repository"] for line in lines} == {FQRN}
    assert all(line["pid"] > 0 for line in lines)

    (publisher.machine.tree / "unfinished").write_text("not to be published yet\n")
    said = publisher.run("profile", "add", FQRN, "prog", "--from", "t")
    assert "14 files, 13 of them in 1 pack" in said
    assert "unfinished" in publisher.run("server", "sync", FQRN), "what else was changed stays as it is"
    assert "when /bin/prog is opened" in said
    assert "prog     14" in publisher.run("profile", "list", FQRN)
    (one,) = json.loads(publisher.run("profile", "list", FQRN, "--json"))
    assert (one["fresh"], one["changed"], one["gone"], one["packed_files"]) == (14, 0, 0, 13)
    assert "/lib/part3" in publisher.run("profile", "show", FQRN, "prog")
    assert publisher.run("profile", "check", FQRN) == "prog: 14 files as they were, 0 changed, 0 gone\n"

    (publisher.machine.tree / FILES[0]).write_text("other\n")
    (publisher.machine.tree / FILES[1]).unlink()
    publisher.run("server", "publish", FQRN)
    said = publisher.run("profile", "check", FQRN, code=1)
    assert "12 files as they were, 1 changed, 1 gone" in said
    assert f"swrepo profile update {FQRN} prog" in said
    publisher.run("profile", "update", FQRN)
    assert "13 files as they were, 0 changed, 0 gone" in publisher.run("profile", "check", FQRN)

    publisher.run("profile", "remove", FQRN, "prog")
    assert "no profiles" in publisher.run("profile", "list", FQRN)
    publisher.run("profile", "remove", FQRN, "prog", code=NotFound.exit_code)


def test_the_trigger_may_be_another_file_and_several(publisher: Publisher) -> None:
    publisher.trace(f"{HOME}/bin/prog")
    words = ["profile", "add", FQRN, "late", "--from", "t", "--trigger"]
    said = publisher.run(*words, f"{HOME}/{FILES[5]}", "--trigger", f"/{FILES[4]}", "--no-pack")
    assert "9 files; they are fetched when /lib/part5, /lib/part4 is opened" in said
    links = publisher.machine.tree / ".swrepo/triggers"
    assert {os.readlink(link) for link in links.iterdir()} == {"../../lib/part4", "../../lib/part5"}
    publisher.run(*words, "/hello", code=UsageError.exit_code)
    assert "do not open /hello" in publisher.said
    publisher.run(*words, "/lib", code=UsageError.exit_code)
    assert "is no file" in publisher.said


def test_what_cannot_be_a_profile_says_why(publisher: Publisher) -> None:
    (publisher.work / "bad").write_text("{\n")
    (publisher.work / "empty").write_text("")
    (publisher.work / "other").write_text('{"repository": "x.example.org", "path": "/a"}\n')
    for words, sentence in (
        (["p", "--from", "nowhere"], "cannot read the trace nowhere"),
        (["p", "--from", "bad"], "bad, line 1"),
        (["p", "--from", "empty"], "no repository at all"),
        (["p", "--from", "other"], "it is of x.example.org"),
        (["../p", "--from", "other"], "cannot be a profile's name"),
        (["p", "--from", "other", "--share", "2"], "--share"),
    ):
        publisher.run("profile", "add", FQRN, *words, code=None)
        assert sentence in publisher.said, publisher.said


def test_a_command_that_cannot_run_or_is_killed_gives_the_code_of_a_shell(publisher: Publisher) -> None:
    publisher.trace("/no/such/program", code=127)
    publisher.trace("sh", "-c", "kill -9 $$", code=128 + signal.SIGKILL)
    assert "opened no file of a repository" in publisher.said
    publisher.run("trace", FQRN, "--output", "/no/such/dir/t", "--", "true", code=2, prefix=publisher.machine.prefix)
    assert "cannot write /no/such/dir/t" in publisher.said


def test_a_trace_ends_with_its_command_when_it_is_told_to_end(publisher: Publisher) -> None:
    machine = publisher.machine
    words = publisher.words(
        "trace", FQRN, "--output", "t", "--", "sh", "-c", f"cat {HOME}/hello; touch ready; sleep 60"
    )
    process = subprocess.Popen(words, env=publisher.environment(machine.prefix), cwd=publisher.work)
    try:
        wait_until((publisher.work / "ready").exists)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert "/hello" in (publisher.work / "t").read_text(), "what was seen until then is kept"


def test_a_mount_that_is_there_can_be_traced(publisher: Publisher) -> None:
    machine = publisher.machine
    machine.mount()
    try:
        (machine.point / "hello").read_text()
        words = ["trace", "--mount", machine.point, "--output", "t", "--", "cat", machine.point / "hello"]
        assert publisher.run(*words, prefix=machine.prefix) == "hello\n"
        assert "/hello" in (publisher.work / "t").read_text()
    finally:
        machine.unmount()
