"""An HTTP server on loopback for what was published: nginx where it is installed, else `swrepo serve`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONF = """daemon off; pid {place}/nginx.pid; error_log {place}/nginx.log; worker_processes 1;
events {{ }}
http {{ access_log off; sendfile on; tcp_nopush on; types {{ }} default_type application/octet-stream; {temporary}
server {{ listen 127.0.0.1:{port}; location /cvmfs/ {{ root {srv}; }} }} }}
"""


@contextmanager
def served(directory: Path, place: Path) -> Iterator[tuple[str, str]]:
    """Serve `directory`, the `cvmfs` of a server; the URL above the repositories, and the server's name."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    port = free_port()
    if program is not None:
        place.mkdir(parents=True, exist_ok=True)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {place}/{kind}; " for kind in kinds)
        (place / "nginx.conf").write_text(
            ("user root; " if place.owner() == "root" else "")
            + _CONF.format(place=place, srv=directory.parent, port=port, temporary=temporary)
        )
        command = [program, "-c", str(place / "nginx.conf"), "-e", str(place / "nginx.log")]
    else:
        command = [str(Path(sys.executable).with_name("swrepo")), "serve", str(directory), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}/cvmfs", "nginx" if program is not None else "swrepo serve"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until a program that was started takes connections."""
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the HTTP server does not answer")
