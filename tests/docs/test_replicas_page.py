"""The page on replicas: its commands run as they stand, on a server that is a directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

from swrepo.web.serve import serving
from tests.publishing import Server, fast_options

PAGE = Path(__file__).resolve().parents[2] / "docs" / "replicas.md"


def test_the_commands_do_what_the_page_tells_of(tmp_path):
    server = Server(tmp_path / "stratum0", fast_options())
    (server.tree / "file").write_text("text")
    server.publish()
    blocks = re.findall(r"<!-- runs -->\n```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    with serving([server.layout.served]) as url:
        text = "".join(blocks).replace("http://stratum0.example.org/cvmfs", url)
        text = text.replace("/etc/cvmfs/keys/sw.example.org.pub", str(server.places.keys.public))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "SWREPO_PREFIX": str(tmp_path / "stratum1"), "PATH": path}
        done = subprocess.run(["sh", "-ec", text], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "shows revision 2" in done.stdout
    assert "no problems found" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("sw.example.org: up to date at revision 2")
