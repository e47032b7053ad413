"""Who starts the programs: the original, and ours with more and more knowledge of what comes next.

The original takes part where SWREPO_ORIGINAL_MOUNT says how it mounts (see `benchmarks.reading.clients`; here the
command may also stay until the mount ends), or where `cvmfs2` is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.reading.clients import Client, Original, Ours, Tree

ORIGINAL = "original"
PLAIN = "no prefetch"
NEIGHBOURS = "no profile"
PROFILE = "profile"
NAMES = (ORIGINAL, PLAIN, NEIGHBOURS, PROFILE)

_OPTIONS = {PLAIN: ("CVMFS_PREFETCH=no",), NEIGHBOURS: ("CVMFS_PROFILES=no",), PROFILE: ()}
_WAITING = 60.0
_SCRIPT = """mkdir -p {cache} && printf '%s\\n' CVMFS_CACHE_BASE={cache} CVMFS_RELOAD_SOCKETS={cache} \
CVMFS_SERVER_URL={url} CVMFS_HTTP_PROXY=DIRECT CVMFS_PUBLIC_KEY={key} CVMFS_SHARED_CACHE=no CVMFS_CLAIM_OWNERSHIP=no \
CVMFS_USER=root > {cache}/client.conf && exec cvmfs2 -f -o config={cache}/client.conf {fqrn} {mountpoint}"""


class Other(Original):
    """The original, by a command that returns when it answers, or stays until its mount ends."""

    def mount(self, tree: Tree, url: str, point: Path, cache: Path) -> None:
        words = {"url": f"{url}/{tree.fqrn}", "fqrn": tree.fqrn, "key": tree.key, "mountpoint": point, "cache": cache}
        arguments = shlex.split(self._command.format(**words))
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _WAITING
        while not os.path.ismount(point):
            if process.poll() not in (None, 0) or time.monotonic() > end:
                process.terminate()
                raise RuntimeError(f"{' '.join(arguments)} did not mount")
            time.sleep(0.01)
        os.listdir(point)


def clients(names: list[str]) -> list[Client]:
    """Those of these names that can take part here."""
    command = os.environ.get("SWREPO_ORIGINAL_MOUNT")
    if command is None and shutil.which("cvmfs2"):
        command = f"sh -c {shlex.quote(_SCRIPT)}"
    found: list[Client] = [Other(command)] if command and ORIGINAL in names else []
    return found + [Ours(name, options) for name, options in _OPTIONS.items() if name in names]
