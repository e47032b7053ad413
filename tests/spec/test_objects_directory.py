"""objects.directory: a directory that is always in order, whatever happens to the process that writes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest

from swrepo.errors import CacheFull, ObjectNotFound, PermissionRefused, UsageError
from swrepo.format.object_id import Kind, ObjectId
from swrepo.format.wellknown import MANIFEST, REFLOG
from swrepo.objects.directory import DirectoryObjects
from swrepo.objects.store import Want
from tests.simulator import RepositorySimulator

STORED = bytes(range(256)) * 5000
NAME = ObjectId.of(STORED)
TXN = Path("data/txn")


@pytest.fixture
def served(tmp_path: Path) -> DirectoryObjects:
    found = DirectoryObjects(tmp_path / "served")
    found.create()
    return found


def test_the_layout_is_the_format_s(served: DirectoryObjects) -> None:
    directories = sorted(path.name for path in (served.root / "data").iterdir())
    assert directories == [f"{number:02x}" for number in range(256)] + ["txn"]
    catalog = NAME.with_kind(Kind.CATALOG)
    served.put(catalog, STORED)
    text = catalog.digest.hex()
    path = served.root / "data" / text[:2] / f"{text[2:]}C"
    assert path.read_bytes() == STORED
    assert path.stat().st_mode & 0o777 == 0o644  # a web server of another user serves it


def test_creating_again_keeps_everything(served: DirectoryObjects) -> None:
    served.put(NAME, STORED)
    served.create()
    assert served.has(NAME)


def test_files_that_are_no_objects_are_not_listed(served: DirectoryObjects) -> None:
    served.put(NAME, STORED)
    for name in ("README", "0" * 38 + "Z", "0" * 37, "0" * 38 + "CC", "G" * 38, "0" * 38 + "-md5"):
        (served.root / "data" / "00" / name).write_bytes(b"")
    (served.root / TXN / "put.leftover").write_bytes(b"")
    assert list(served.list()) == [NAME]


def test_a_directory_that_another_tool_did_not_make_is_made_on_demand(served: DirectoryObjects) -> None:
    shutil.rmtree((served.root / NAME.path).parent)
    served.put(NAME, STORED)
    served.sync()
    assert served.has(NAME)


def test_nothing_unfinished_is_left_after_a_refusal(served: DirectoryObjects) -> None:
    class Torn(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(10)

    with pytest.raises(KeyboardInterrupt):
        served.put(NAME, Torn(STORED))
    assert list((served.root / TXN).iterdir()) == []
    assert not served.has(NAME)


def test_leftovers_of_killed_processes_can_be_discarded(served: DirectoryObjects) -> None:
    for name in ("put.1", "put.2", "someone-else's"):
        (served.root / TXN / name).write_bytes(b"half an obj")
    assert served.discard_unfinished() == 2
    assert [path.name for path in (served.root / TXN).iterdir()] == ["someone-else's"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../secret", "info/../../secret", "a\0b"])
def test_documents_lie_inside_the_directory(served: DirectoryObjects, name: str) -> None:
    (served.root.parent / "secret").write_bytes(b"secret")
    with pytest.raises(UsageError, match="not the name of a document"):
        served.read(name)
    with pytest.raises(UsageError, match="not the name of a document"):
        served.write(name, b"")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    nowhere = DirectoryObjects(tmp_path / "nowhere")
    with pytest.raises(ObjectNotFound, match=r"nowhere/\.cvmfspublished does not exist"):
        nowhere.read(MANIFEST)
    with pytest.raises(ObjectNotFound, match="is this a repository's storage"):
        nowhere.put(NAME, STORED)
    assert list(nowhere.list()) == []
    assert not nowhere.has(NAME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_what_the_system_forbids_is_named(served: DirectoryObjects) -> None:
    served.put(NAME, STORED)
    (served.root / NAME.path).chmod(0)
    (served.root / TXN).chmod(0o555)
    with pytest.raises(PermissionRefused, match="cannot read"):
        served.fetch(Want(NAME), BytesIO())
    with pytest.raises(PermissionRefused, match="run it as the repository's owner"):
        served.put(ObjectId.of(b"other"), b"other")


def test_the_disk_has_an_object_before_its_name_and_both_before_the_manifest(
    served: DirectoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What survives a power cut, in the order in which it is made to."""
    log: list[str] = []
    fsync, rename = os.fsync, os.rename

    def logged_fsync(descriptor: int) -> None:
        fsync(descriptor)
        log.append("on disk: " + label(os.readlink(f"/proc/self/fd/{descriptor}")))

    def logged_rename(source: str, target: Path) -> None:
        rename(source, target)
        log.append("named: " + label(target))

    def label(path: str | Path) -> str:
        relative = os.path.relpath(path, served.root)
        return "a temporary file" if relative.startswith(f"{TXN}/") else relative

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged_rename)
    served.put(NAME, STORED)
    served.write(MANIFEST, b"manifest")
    directory = os.path.dirname(NAME.path)
    assert log == [
        "on disk: a temporary file",
        f"named: {NAME.path}",
        f"on disk: {directory}",
        "on disk: a temporary file",
        f"named: {MANIFEST}",
        "on disk: .",
    ]
    log.clear()
    assert DirectoryObjects(served.root).has(NAME)
    finder = DirectoryObjects(served.root)
    finder.put(NAME, STORED)  # found, not put: perhaps by one who was killed before the sync
    finder.write(MANIFEST, b"manifest")
    assert log[0] == f"on disk: {directory}"


# Crashes. A process runs `PUBLISH` again and again, each time in a new directory and killed one call to the system later.

PUBLISH = """
import io, os, signal, sys
from pathlib import Path
from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import DirectoryObjects

base, stored = Path(sys.argv[1]), bytes(range(256)) * 5000

def publish(served):
    served.put(ObjectId.of(stored), stored)
    served.write(".cvmfspublished", ObjectId.of(stored).text.encode())

def killed_at(count):
    left = count
    def on_event(frame, event, arg):
        nonlocal left
        if event == "c_call" and (arg.__module__ in ("posix", "_io") or isinstance(arg.__self__, io.IOBase)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return on_event

for count in range(1000):
    served = DirectoryObjects(base / str(count))
    (served.root / "data/txn").mkdir(parents=True)
    served.write(".cvmfspublished", b"the old manifest")
    child = os.fork()
    if child == 0:
        sys.setprofile(killed_at(count))
        publish(served)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(count)
        break
"""


def test_a_publisher_killed_at_any_moment_leaves_everything_in_order(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", PUBLISH, tmp_path], check=True, capture_output=True, text=True)
    moments = int(run.stdout)
    assert moments > 20
    stored_before_manifest = 0
    for count in range(moments):
        served = DirectoryObjects(tmp_path / str(count))
        manifest = served.read(MANIFEST)
        assert manifest in (b"the old manifest", NAME.text.encode())
        if served.has(NAME):
            assert (served.root / NAME.path).read_bytes() == STORED
            stored_before_manifest += manifest == b"the old manifest"
        else:
            assert manifest == b"the old manifest"
        assert set(served.list()) <= {NAME}
        # The next one completes and cleans up.
        served.discard_unfinished()
        served.put(NAME, STORED)
        served.write(MANIFEST, NAME.text.encode())
        assert served.read(MANIFEST) == NAME.text.encode()
        assert list((served.root / TXN).iterdir()) == []
    assert stored_before_manifest > 0, "the moments between the object and the manifest were missed"


FILL = """
import sys
from pathlib import Path
from swrepo.errors import CacheFull
from swrepo.format.object_id import ObjectId
from swrepo.objects.directory import DirectoryObjects

served = DirectoryObjects(Path(sys.argv[1]))
served.create()
served.write(".cvmfspublished", b"the old manifest")
small, large = b"small", bytes(range(256)) * 20_000
served.put(ObjectId.of(small), small)
try:
    served.put(ObjectId.of(large), large)
except CacheFull as error:
    print(error)
assert list(served.list()) == [ObjectId.of(small)]
assert list((served.root / "data/txn").iterdir()) == []
assert served.read(".cvmfspublished") == b"the old manifest"
served.put(ObjectId.of(b"other"), b"other")
"""


def test_a_full_disk_is_named_and_leaves_no_half_object(tmp_path: Path) -> None:
    """On a real file system of 4 MiB, in a mount namespace of its own."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this machine allows no mount namespaces")
    script = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" -c "$3" "$1"'
    run = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", tmp_path, sys.executable, FILL],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "no room to write" in run.stdout
    assert "free some and run it again" in run.stdout


def test_a_full_disk_has_the_system_s_error_number() -> None:
    import errno

    assert CacheFull.errno == errno.ENOSPC


def test_it_serves_a_repository_that_was_saved(tmp_path: Path) -> None:
    repository = RepositorySimulator()
    served = DirectoryObjects(repository.save(tmp_path))
    assert {name.path for name in served.list()} == set(repository.stored)


def test_a_small_document_takes_little_memory_however_large_it_might_be(served: DirectoryObjects) -> None:
    """A machine with 1 GB could not read a reference log of a few KB, for it may have up to one."""
    served.write(REFLOG, b"small")
    tracemalloc.start()
    try:
        assert served.read(REFLOG, limit=1 << 40) == b"small"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
