"""The page on publishing: each command runs as it stands, on a server whose directories are the test's. Needs root."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.format.object_id import Kind
from swrepo.fuse.mount import mounted_at, umount
from tests.mount.mounted import require_fuse, require_namespaces
from tests.publishing import Server, fast_options

PAGE = Path(__file__).resolve().parents[2] / "docs" / "publishing.md"
BLOCK = re.compile(r"<!-- runs -->\n```sh\n(.*?)```", re.DOTALL)
ANY_BLOCK = re.compile(r"```(?:sh|console|bash)\n")

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts overlayfs"),
]

FILES = {
    "build/software/lib/solver.py": "print(1)\n",
    "build/software/share/doc/README": "read me\n",
    "build/software/releases/v1/version": "1.0\n",
    "build/software/releases/v1/.cvmfscatalog": "",
    "build/software/src/Makefile": "install:\n\ttouch /cvmfs/sw.example.org/installed\n\techo made it\n",
    "from/lib/solver.py": "print(2)\n",
    "from/releases/v1/version": "1.0\n",
    "storage/runs/1/run.root": "events\n",
}


@pytest.fixture
def disk(tmp_path):
    """A file system that overlayfs takes, with nothing mounted in it afterwards."""
    require_fuse()
    require_namespaces()
    found = tmp_path / "disk"
    found.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", found], check=True)
    for name, text in FILES.items():
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_text(text)
    try:
        yield found
    finally:
        for point in (*found.glob("cvmfs/*"), *found.glob("var/spool/cvmfs/*/rdonly")):
            while mounted_at(str(point)) is not None:
                umount(str(point), lazy=True)
        umount(str(found), lazy=True)


def here(block, disk):
    """The commands on the test's directories; `enter` shows its repository where it is everywhere. A watch is ended."""
    lines = []
    for line in block.splitlines():
        text = re.sub(r"(?<![\w.=])/(build|from|storage|cvmfs|srv)/", rf"{disk}/\1/", line)
        if line.startswith("cvmfs_server enter"):
            text = line
        if line.startswith("swrepo server watch"):
            text += (
                f" > {disk}/log & watch=$!\nuntil grep -q revision {disk}/log; do sleep 0.1; done\nkill $watch\nwait"
            )
        lines.append(text)
    return "\n".join(lines)


def test_every_command_of_the_page_runs(disk):
    text = PAGE.read_text("utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == len(ANY_BLOCK.findall(text)) > 5, "every block is one that runs"
    server = Server(disk, fast_options())
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SWREPO_PREFIX": str(disk),
        "HOME": str(disk / "home"),
    }
    done = subprocess.run(
        ["sh", "-eux", "-c", "\n".join(here(block, disk) for block in blocks)],
        cwd=disk,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/releases/v2 is a clone of /releases/v1" in done.stdout
    assert "made it" in done.stdout
    assert "own.example.org: published revision 2" in done.stdout
    assert json.loads(done.stdout[done.stdout.rindex("\n{") :])["published"]
    data = {path.name for path in disk.glob("srv/cvmfs/data.example.org/data/*/*")}
    assert all(name[-1] in (Kind.CATALOG, Kind.HISTORY, Kind.CERTIFICATE, Kind.METAINFO) for name in data)
    with server.revision() as revision:
        assert revision.find(b"/lib/solver.py").size == len("print(2)\n")
        assert revision.find(b"/releases/v1/.cvmfscatalog") is not None
        assert revision.find(b"/installed") is None
