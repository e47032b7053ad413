"""The walk: publish, point, run; again over a long link; a snapshot as a second server; a worker by user data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo.terminal import StepFailed, Terminal
from swrepo.cloud import walk
from swrepo.cloud.walk import Step, Where
from swrepo.image.vm import MachinePlan, VirtualMachine
from testdrive.machine import Login

SAMPLE = "dair.cvmfs.server"
PATIENCE = 1500.0
_INSIDE = "$(ip -o -4 address show | awk '/10[.]77[.]0/ {print $2}')"
_DELAY_MS = 50


@dataclass(slots=True)
class Drive:
    """Where it happens: `images` by role, `directory` for disks, who watches, and what is running."""

    images: dict[str, Path]
    directory: Path
    accelerator: str
    terminal: Terminal
    running: list[VirtualMachine] = field(default_factory=list)

    def start(self, name: str, number: int, image: Path, files: dict[str, str] | None = None) -> VirtualMachine:
        """Start a machine; `wait` for it."""
        plan = MachinePlan(name, number, image, accelerator=self.accelerator)
        machine = VirtualMachine(plan, self.directory / name)
        machine.start(files)
        if machine not in self.running:
            self.running.append(machine)
        return machine

    def wait(self, machine: VirtualMachine) -> None:
        """Until somebody can log in."""
        seconds = machine.wait_for_ssh(PATIENCE)
        self.terminal.times.append((f"{machine.plan.name}: from power on to ready", seconds))

    def stop(self) -> None:
        """Cut the power of all that runs."""
        for machine in self.running:
            machine.kill()


def play(drive: Drive) -> None:
    """All of it."""
    drive.terminal.say("A server and a client are started from their images")
    server = drive.start("server", 1, drive.images["server"])
    client = drive.start("client", 2, drive.images["client"])
    drive.wait(server)
    drive.wait(client)
    first_walk(drive, server, client)
    long_link(drive, server, client)
    second = snapshot(drive, server, client)
    worker(drive, second)


def first_walk(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> None:
    """What the page of 2013 says, word for word where it can be."""
    drive.terminal.say("Who logs in to the server is told what it serves; the client is pointed to it")
    take(drive, walk.first_use(server.plan.address), server, client)
    add(drive, server, client, "Goodbye")


def add(drive: Drive, server: VirtualMachine, client: VirtualMachine, name: str) -> None:
    """An application is added on the server, published, and used on the client."""
    drive.terminal.say(f"An application, {name}, is added on the server")
    take(drive, walk.addition(server.plan.address, name), server, client)


def take(drive: Drive, steps: Iterator[Step], server: VirtualMachine, client: VirtualMachine) -> None:
    """Type steps, and note how long each takes."""
    machines = {Where.SERVER: server, Where.CLIENT: client}
    for step in steps:
        where = f"{step.account}@{step.where}" if step.account else str(step.where)
        with drive.terminal.timed(f"{where}: {step.command.rpartition('&& ')[2]}"):
            login = Login(where, machines[step.where], step.account)
            drive.terminal.type(login, step.command, *step.expected, absent=step.absent)


def long_link(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> None:
    """The same with 50 ms each way between the two."""
    terminal = drive.terminal
    terminal.say(f"The link between the two gets {_DELAY_MS} ms each way")
    for name, machine in (("server", server), ("client", client)):
        terminal.type(Login(name, machine), f"sudo tc qdisc replace dev {_INSIDE} root netem delay {_DELAY_MS}ms")
    terminal.type(Login("client", client), f"ping -c 3 -q {server.plan.address}", "0% packet loss")
    add(drive, server, client, "FarAway")
    for name, machine in (("server", server), ("client", client)):
        terminal.type(Login(name, machine), f"sudo tc qdisc delete dev {_INSIDE} root")


def snapshot(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> VirtualMachine:
    """The customised server is snapshotted, and launched again beside itself."""
    terminal = drive.terminal
    terminal.say("The server is shut down, its disk kept as an image, and both are started")
    questions = {
        "machine id": "cat /etc/machine-id",
        "host key": "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
        "address": "hostname -I",
    }
    kept = {
        # By its owner: everybody else has repositories of their own.
        "revision": f"sudo -u cvmfs swrepo server info --json {SAMPLE} 2>/dev/null | grep '\"revision\"'",
        "key": f"sha1sum < /etc/cvmfs/keys/{SAMPLE}.pub",
    }
    before = {what: Login("server", server).asks(command) for what, command in {**questions, **kept}.items()}
    image = drive.directory / "server-snapshot.qcow2"
    began = time.monotonic()
    server.power_off()
    server.snapshot(image)
    terminal.times.append(("power off and snapshot", time.monotonic() - began))
    server.start()
    second = drive.start("server2", 3, image)
    drive.wait(server)
    drive.wait(second)
    after = {what: Login("server2", second).asks(command) for what, command in {**questions, **kept}.items()}
    for what in questions:
        if not after[what] or after[what] == before[what]:
            raise StepFailed(f"the second server has the {what} of the first: {after[what]!r}")
    for what in kept:
        if not after[what] or after[what] != before[what]:
            raise StepFailed(
                f"the second server has another {what} than the first: {after[what]!r}, not {before[what]!r}"
            )
    terminal.say(f"The second has its own {', '.join(questions)}; the repository has the same {' and '.join(kept)}")
    terminal.type(Login("client", client), f"sudo PointToCVMFS {second.plan.address}", SAMPLE)
    terminal.type(Login("guest@client", client, "guest"), f"/cvmfs/{SAMPLE}/FarAway", "FarAway from")
    return second


def worker(drive: Drive, server: VirtualMachine) -> None:
    """A worker comes up by user data alone."""
    terminal = drive.terminal
    terminal.say("A worker is started with nothing but user data")
    settings = f"SERVER={server.plan.address}\nTRUST=yes\nREPOSITORIES={SAMPLE}\n"
    machine = drive.start("worker", 4, drive.images["worker"], {"/etc/swrepo/machine.conf": settings})
    drive.wait(machine)
    login = Login("worker", machine)
    terminal.type(login, "systemctl is-active swrepo-machine swrepo", "active")
    terminal.type(login, f"/cvmfs/{SAMPLE}/Hello", "Hello from")
