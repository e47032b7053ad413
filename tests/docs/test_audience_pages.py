"""The pages for laptops, clusters and those who come from CernVM-FS: each command runs as it stands.

Only addresses and directories are those of the test: a server on a free port, and a machine that is a directory.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swrepo.fuse.mount import mounted_at, umount
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher
from swrepo.web.serve import serving

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"<!-- runs -->\n```sh\n(.*?)```", re.DOTALL)
ANY_BLOCK = re.compile(r"```(?:sh|console|bash)\n")
PAGES = ["laptop.md", "cluster.md", "migrating.md"]
FQRN = "sw.example.org"

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="/dev/fuse cannot be opened"),
]


@pytest.fixture
def server(tmp_path):
    directory = tmp_path / "server"
    create_repository(ServerLayout(directory), FQRN, CreateOptions())
    program = directory / "cvmfs" / FQRN / "bin/hello"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho Hello\n")
    program.chmod(0o755)
    Publisher(ServerLayout(directory)).publish(FQRN)
    with serving([directory / "srv/cvmfs"]) as url:
        yield directory, url.removeprefix("http://").removesuffix("/cvmfs")


def configure(prefix, key, host):
    """What a machine that ran CernVM-FS has in /etc/cvmfs."""
    (prefix / "etc/cvmfs/keys").mkdir(parents=True)
    (prefix / "etc/cvmfs/keys" / key.name).write_bytes(key.read_bytes())
    (prefix / "etc/cvmfs/default.local").write_text(
        f"CVMFS_SERVER_URL='http://{host}/cvmfs/@fqrn@'\nCVMFS_REPOSITORIES={FQRN}\nCVMFS_HTTP_PROXY=DIRECT\n"
    )


def here(text, prefix, host):
    """The commands with the test's address, and the directories of its machine."""
    text = text.replace("server.example.org", host).replace("~/.config/swrepo", f"{prefix}/etc/cvmfs")
    text = text.replace("~/cvmfs", f"{prefix}/cvmfs")
    return re.sub(r"(?<![\w./~])/(cvmfs|etc/cvmfs|var/lib/cvmfs)\b", rf"{prefix}/\1", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs(page, server, tmp_path):
    directory, host = server
    text = (DOCS / page).read_text("utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == len(ANY_BLOCK.findall(text)) > 2, "every block is one that runs"
    prefix, work = tmp_path / "machine", tmp_path / "work"
    work.mkdir()
    (prefix / "cvmfs").mkdir(parents=True)
    key = directory / "etc/cvmfs/keys" / f"{FQRN}.pub"
    (work / key.name).write_bytes(key.read_bytes())
    if page == "migrating.md":
        configure(prefix, key, host)
    programs = Path(sys.executable).parent
    try:
        done = subprocess.run(
            ["sh", "-eux", "-c", here("\n".join(blocks), prefix, host)],
            cwd=work,
            env={"PATH": f"{programs}:{os.environ['PATH']}", "SWREPO_PREFIX": str(prefix), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    finally:
        point = str(prefix / "cvmfs")
        if mounted_at(point) is not None:
            umount(point, lazy=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello" in done.stdout or page == "migrating.md"
    assert not list(prefix.glob("cvmfs/*")), "the page ends with nothing mounted"


def test_the_table_of_old_commands_names_each_command_of_cvmfs_config():
    from swrepo.cli.cvmfs_config import COMMANDS

    table = (DOCS / "migrating.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"`{name}`" in table or f"cvmfs_config {name}" in table, name
