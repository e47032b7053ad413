"""The page on catalogs: each command runs as it stands, on a server that is a directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.publishing import Server, check_catalogs, fast_options

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalogs.md"


def test_the_commands_make_the_catalogs_that_the_page_tells_of(tmp_path):
    server = Server(tmp_path, fast_options())
    blocks = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks:
        text = re.sub(r"(?<![\w.])/cvmfs/", f"{tmp_path}/cvmfs/", block)
        environment = {**os.environ, "SWREPO_PREFIX": str(tmp_path), "PATH": path}
        done = subprocess.run(["sh", "-ec", text], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "published revision" in done.stdout
    with server.revision() as revision:
        assert sorted(check_catalogs(revision)) == [b"", b"/tool/1.0", b"/tool/2.0"]
