"""The page on archives and images: its commands run as they stand, on a server that is a directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.archives import shown
from tests.images import made, saved
from tests.publishing import Server, fast_options

PAGE = Path(__file__).resolve().parents[2] / "docs" / "archives-and-images.md"


def run(server, text, directory):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "SWREPO_PREFIX": str(server.layout.prefix), "PATH": path}
    done = subprocess.run(
        ["sh", "-ec", text], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_do_what_the_page_tells_of(tmp_path):
    server = Server(tmp_path / "server", fast_options())
    (block,) = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    told = run(server, block, tmp_path)
    assert told.count("published revision") == 3
    assert shown(server) == {b"/apps": "d", b"/apps/.cvmfscatalog": b"", b"/apps/tool": "d"}
    (tmp_path / "image.tar").write_bytes(saved(made(b"\0" * 1024), b"\0" * 1024, tag="some/name:1"))
    told = run(server, "cvmfs_server ingest-image -t image.tar sw.example.org", tmp_path)
    assert "the image is at /some/name:1; 1 of its 1 layers were new" in told
