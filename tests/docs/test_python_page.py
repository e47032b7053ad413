"""The examples of docs/python.md run as they stand, in their order, against a server on the port that they name."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/python.md"
BLOCK = re.compile(r"<!-- runs -->\n```(sh|python)\n(.*?)```", re.DOTALL)
ANY_BLOCK = re.compile(r"```(?:sh|python)\n")


def test_every_example_is_one_that_runs():
    text = PAGE.read_text("utf-8")
    assert len(ANY_BLOCK.findall(text)) == len(BLOCK.findall(text)) > 5


def test_the_examples_run(tmp_path):
    pytest.importorskip("pandas")
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    port = _free_port()
    programs = Path(sys.executable).parent
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SWREPO_PREFIX": str(tmp_path / "try"),
    }

    def run(kind, text):
        words = ["sh", "-eu", "-c", text] if kind == "sh" else [sys.executable, "-W", "error", "-c", text]
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        done = subprocess.run(
            [*words[:-1], text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr + text
        return done.stdout

    run(*blocks[0])
    with subprocess.Popen(
        ["swrepo", "serve", "--port", str(port)], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait_for(port, server)
            python = run("python", "\n".join(text for kind, text in blocks if kind == "python"))
            shell = run("sh", "\n".join(text for kind, text in blocks[1:] if kind == "sh"))
        finally:
            server.terminate()
    assert "Fetched(files=1, bytes=25)" in python
    assert "no such file or directory: /data/2027" in python
    assert ": no server has .cvmfspublished" in python
    assert "echo Hello\nrevision 2: 1 files written" in shell
    assert "Hello\n{" in shell
    assert (tmp_path / "programs/hello").stat().st_mode & 0o777 == 0o755


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("swrepo serve does not answer")
