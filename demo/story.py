"""The main job from end to end: publish, serve, mount, run; then again with an added application and a real one."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from demo import python_tree
from demo.evidence import Fetched, Tree
from demo.machine import Machine, quoted
from demo.terminal import StepFailed, Terminal

SAMPLE = "dair.cvmfs.server"
PYTHON = "python.cvmfs.server"
_KEYS = "etc/cvmfs/keys"
_PATIENCE = 20.0

_HELLO = """cat > Hello <<'END'
#!/bin/sh
echo "Hello from $(dirname "$0")"
END
chmod +x Hello"""

_PROGRAM = """import sys, numpy
a = numpy.arange(90_000, dtype=float).reshape(300, 300)
print("python", sys.version.split()[0], "from", sys.prefix)
print("numpy", numpy.__version__, "from", numpy.__file__)
print("trace of a @ a.T:", int(numpy.trace(a @ a.T)))
x = numpy.linalg.solve(numpy.array([[3.0, 1.0], [1.0, 2.0]]), numpy.array([9.0, 8.0]))
print("3x+y=9, x+2y=8:", x.round(6).tolist())"""

_ANSWERS = ("trace of a @ a.T: 242995950015000", "3x+y=9, x+2y=8: [2.0, 3.0]")


@dataclass(frozen=True, slots=True)
class Stage:
    """Two machines, the port on which the server serves, and whoever watches."""

    server: Machine
    client: Machine
    port: int
    terminal: Terminal


def publish_sample(stage: Stage) -> None:
    """The server makes a repository with the sample application and serves it."""
    terminal, server = stage.terminal, stage.server
    terminal.say(f"A server with the repository {SAMPLE}, which holds the sample application Hello")
    with terminal.timed("create a repository"):
        terminal.type(server, f"cvmfs_server mkfs -o cvmfs {SAMPLE}", SAMPLE)
    terminal.type(server, f"cd /cvmfs/{SAMPLE}")
    terminal.type(server, _HELLO)
    terminal.type(server, f"chown -R cvmfs.cvmfs /cvmfs/{SAMPLE}")
    with terminal.timed("publish Hello"):
        terminal.type(server, "cvmfs_server publish")
    terminal.type(server, f"swrepo serve /srv/cvmfs --port {stage.port} >/var/spool/cvmfs/serve.log 2>&1 &")
    _wait_until_it_answers(stage)


def use_sample(stage: Stage) -> None:
    """The client points to the server and runs Hello."""
    terminal, client = stage.terminal, stage.client
    terminal.say(
        "A client that has nothing but the server's address and its public key, which was carried over by hand"
    )
    _carry_key(stage, SAMPLE)
    terminal.type(client, f"ls /{_KEYS}", f"{SAMPLE}.pub")
    with terminal.timed("PointToCVMFS: check and mount"):
        terminal.type(client, f"PointToCVMFS 127.0.0.1:{stage.port}", SAMPLE)
    terminal.say("/cvmfs is empty until it is touched")
    terminal.type(client, "ls /cvmfs", absent=(SAMPLE,))
    terminal.type(client, f"ls -l /cvmfs/{SAMPLE}/*", "Hello", "cvmfs", absent=("Goodbye",))
    terminal.type(client, f"/cvmfs/{SAMPLE}/Hello", f"Hello from /cvmfs/{SAMPLE}")
    terminal.type(client, "ls /cvmfs", SAMPLE)


def add_application(stage: Stage) -> None:
    """An application is added on the server, published, and runs on the client."""
    terminal, server, client = stage.terminal, stage.server, stage.client
    terminal.say("An application is added on the server")
    terminal.type(server, f"cd /cvmfs/{SAMPLE}; cp Hello Goodbye")
    terminal.type(server, "sed -i 's/Hello/Goodbye/' Goodbye")
    terminal.type(server, f"chown -R cvmfs.cvmfs /cvmfs/{SAMPLE}")
    terminal.type(server, "cvmfs-sync")
    with terminal.timed("publish Goodbye"):
        terminal.type(server, "cvmfs_server publish")
    terminal.say("The client asks for it")
    with terminal.timed("PointToCVMFS again: refresh"):
        terminal.type(client, f"PointToCVMFS 127.0.0.1:{stage.port}", SAMPLE)
    terminal.type(client, f"ls -l /cvmfs/{SAMPLE}/*", "Hello", "Goodbye")
    terminal.type(client, f"/cvmfs/{SAMPLE}/Goodbye", f"Goodbye from /cvmfs/{SAMPLE}")
    terminal.type(client, f"/cvmfs/{SAMPLE}/Hello", f"Hello from /cvmfs/{SAMPLE}")


def publish_python(stage: Stage, installation: Path) -> None:
    """A whole Python installation becomes a second repository."""
    terminal, server = stage.terminal, stage.server
    terminal.say("A real application: a whole Python with numpy becomes a second repository")
    terminal.type(server, f"cvmfs_server mkfs -o cvmfs {PYTHON}", PYTHON)
    terminal.type(server, f"cp -rp {quoted(installation)}/. /cvmfs/{PYTHON}/")
    terminal.type(server, f"cd /cvmfs/{PYTHON}; touch lib/{python_tree.VERSION}/.cvmfscatalog; du -sh .")
    terminal.type(server, f"chown -R cvmfs.cvmfs /cvmfs/{PYTHON}")
    with terminal.timed("publish Python and numpy"):
        terminal.type(server, "cvmfs_server publish")


def use_python(stage: Stage) -> None:
    """A program that needs numpy runs from the client's mount, and the whole repository is checked once."""
    terminal, client = stage.terminal, stage.client
    terminal.say("The client runs a program with it, straight from the mount")
    _carry_key(stage, PYTHON)
    terminal.type(client, f"PointToCVMFS 127.0.0.1:{stage.port}", PYTHON)
    prefix = f"/cvmfs/{PYTHON}"
    command = f"{python_tree.library_path(prefix)}{prefix}/bin/python3 -s - <<'END'\n{_PROGRAM}\nEND"
    with terminal.timed("first run: import numpy, compute"):
        terminal.type(client, command, f"from {prefix}", *_ANSWERS)
    with terminal.timed("second run"):
        terminal.type(client, command, *_ANSWERS)
    terminal.type(client, f"touch {prefix}/x", "Read-only file system", fails=True)


def fetched_so_far(stage: Stage) -> Fetched:
    """What the client has of the Python repository."""
    return Fetched.compare(stage.server.path(f"srv/cvmfs/{PYTHON}"), stage.client.path("var/lib/cvmfs/shared"))


def verify_python(stage: Stage) -> str:
    """Everything that the revision reaches is fetched and checked, past the cache; what the command says of it."""
    command = f"swrepo verify http://127.0.0.1:{stage.port}/cvmfs/{PYTHON}"
    with stage.terminal.timed("verify all of it (swrepo verify)"):
        outcome = stage.terminal.type(stage.client, command, "verified")
    return outcome.output.strip().partition("verified ")[2]


def finish(stage: Stage) -> None:
    """Leave both machines tidy."""
    stage.terminal.say("Tidying up")
    stage.terminal.type(stage.client, "swrepo umount /cvmfs")
    stage.terminal.type(stage.server, "kill %1")


def stored(stage: Stage) -> Tree:
    """What the server keeps of the Python repository."""
    return Tree.of(stage.server.path(f"srv/cvmfs/{PYTHON}/data"))


def _carry_key(stage: Stage, fqrn: str) -> None:
    keys = stage.client.path(_KEYS)
    keys.mkdir(parents=True, exist_ok=True)
    (keys / f"{fqrn}.pub").write_bytes(stage.server.path(f"{_KEYS}/{fqrn}.pub").read_bytes())


def _wait_until_it_answers(stage: Stage) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", stage.port)) == 0:
                return
        time.sleep(0.05)
    log = stage.server.path("var/spool/cvmfs/serve.log")
    raise StepFailed(f"the server does not answer on port {stage.port}: {log.read_text('utf-8', 'replace')}")
