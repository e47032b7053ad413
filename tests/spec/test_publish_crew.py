"""publish.crew: small files are stored by processes, which end with their publisher whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from swrepo.errors import PublishError
from swrepo.format.object_id import Algorithm, ObjectId
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish import crew as crews
from swrepo.publish.changes import Identity
from swrepo.publish.encoder import Encoder
from swrepo.publish.reader import FileReader
from swrepo.publish.storing import Task
from tests.publishing import MemoryStore, Server

FILES = 200


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryObjects:
    objects = DirectoryObjects(tmp_path / "storage")
    objects.create()
    return objects


@pytest.fixture
def batch(storage: DirectoryObjects) -> ObjectBatch:
    return ObjectBatch(storage.root, storage)


@pytest.fixture
def processes(storage, batch):
    crew = crews.Processes(FileReader(storage, batch, Encoder()), batch, 2)
    yield crew
    crew.close()


def tasks(directory: Path, *contents: bytes) -> list[Task]:
    found = []
    directory.mkdir(exist_ok=True)
    for number, content in enumerate(contents):
        path = directory / f"f{number}"
        path.write_bytes(content)
        found.append(Task(os.fsencode(path), Identity.of(path.stat()), None))
    return found


def test_what_processes_store_has_its_name_after_the_flush(processes, storage, batch, tmp_path):
    first = processes.give(tasks(tmp_path, b"one", b"two", b"one"))
    second = processes.give(tasks(tmp_path / "second", b"three", b"one"))
    names = {outcome.content.digest for job in (first, second) for outcome in job.result()}
    assert list(storage.list()) == []
    batch.flush()
    assert {found.digest for found in storage.list()} == names
    assert batch.stored_objects == len(names) == 3
    again = processes.give(tasks(tmp_path / "again", b"one", b"two"))
    assert {outcome.content.digest for outcome in again.result()} <= names
    batch.flush()
    assert batch.stored_objects == 3


def test_the_fault_of_a_file_is_its_own_and_a_change_is_told(processes, tmp_path):
    there, gone, changed = tasks(tmp_path, b"there", b"gone", b"changed")
    (tmp_path / "f1").unlink()
    (tmp_path / "f2").write_bytes(b"changed, and longer")
    stored, missing, other = processes.give([there, gone, changed]).result()
    assert stored.status is None
    assert isinstance(missing, FileNotFoundError)
    assert other.status.st_size == 19


def test_many_requests_that_are_large_and_answers_that_are_too_pass_each_other(processes, tmp_path):
    long = os.fsencode(tmp_path) + b"/" + b"/".join([b"d" * 200] * 18)
    identity = Identity.of(tmp_path.stat())
    jobs = [processes.give([Task(long, identity, None)] * 60) for _ in range(8)]
    assert all(isinstance(outcome, OSError) for job in jobs for outcome in job.result())


def test_what_the_store_raises_the_publisher_raises(processes, storage, tmp_path):
    (storage.root / "data/txn").rmdir()
    (storage.root / "data/txn").symlink_to("/dev/full")
    with pytest.raises(Exception, match="cannot write"):
        processes.give(tasks(tmp_path, b"one")).result()


def test_a_process_that_dies_is_an_error_and_no_file_is_missing_in_silence(storage, batch, tmp_path):
    crew = crews.Processes(FileReader(storage, batch, Encoder()), batch, 1)
    os.kill(crew._workers[0].process.pid, signal.SIGKILL)
    with pytest.raises(PublishError, match="ended unexpectedly"):
        crew.give(tasks(tmp_path, b"one")).result()
    crew.close()


def test_names_are_given_by_a_process_and_flush_waits_for_it(processes, storage, batch, tmp_path):
    job = processes.give(tasks(tmp_path, b"one", b"two"))
    names = {outcome.content.digest for outcome in job.result()}
    processes.no_more()
    assert all(batch.has(ObjectId(Algorithm.SHA1, name)) for name in names)
    batch.flush()
    assert {found.digest for found in storage.list()} == names
    assert list((storage.root / "data/txn").iterdir()) == []


def test_a_process_that_dies_while_it_gives_names_is_an_error_and_nothing_is_lost(storage, batch, tmp_path):
    crew = crews.Processes(FileReader(storage, batch, Encoder()), batch, 1)
    job = crew.give(tasks(tmp_path, b"one"))
    name = job.result()[0].content.digest
    os.kill(crew._namer.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, crew._namer.process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(PublishError, match="ended unexpectedly"):
        crew.no_more()
    crew.close()
    batch.flush()
    assert [found.digest for found in storage.list()] == [name]


ALONE = """
import sys
from pathlib import Path
from swrepo.objects.batch import ObjectBatch
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish import crew as crews
from swrepo.publish.encoder import Encoder
from swrepo.publish.reader import FileReader

storage = DirectoryObjects(Path(sys.argv[1]))
batch = ObjectBatch(storage.root, storage)
crew = crews.crew(FileReader(storage, batch, Encoder()), 2)
assert isinstance(crew, crews.Processes), crew
crew.close()
"""


def test_a_program_without_threads_has_processes(storage):
    subprocess.run([sys.executable, "-c", ALONE, storage.root], check=True)


def test_other_stores_and_programs_with_threads_have_threads(storage, batch):
    crew = crews.crew(FileReader(storage, MemoryStore(), Encoder()), 1)
    assert isinstance(crew, crews.Threads)
    crew.close()
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    crew = crews.crew(FileReader(storage, batch, Encoder()), 1)
    assert isinstance(crew, crews.Threads)
    crew.close()
    end.set()
    other.join()


def test_many_files_are_published_by_processes_and_read_as_they_are(tmp_path):
    server = Server(tmp_path)
    for number in range(FILES):
        (server.tree / f"f{number}").write_bytes(b"%d" % (number % 150) * 20)
    outcome = server.publish()
    assert outcome.new_objects > 150
    with server.revision() as revision:
        for number in range(FILES):
            content = revision.content(b"/f%d" % number)
            assert content.pread(0, 100) == b"%d" % (number % 150) * 20
            content.close()


def test_nobody_holds_the_lock_once_a_publisher_was_killed(tmp_path):
    server = Server(tmp_path)
    for number in range(FILES):
        (server.tree / f"f{number}").write_bytes(b"%d" % number)
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            end_at_the_first_answer(tell)
            server.publish()
        finally:
            os._exit(0)
    os.close(tell)
    assert os.read(told, 1) == b"x"
    os.waitpid(pid, 0)
    os.close(told)
    assert server.publish().published
    assert server.publish().published is False


def end_at_the_first_answer(tell: int) -> None:
    """As kill -9 would, while the others still work."""

    def take(*_: object) -> None:
        os.write(tell, b"x")
        os.kill(os.getpid(), signal.SIGKILL)

    ObjectBatch.take = take  # in a process that is about to end
