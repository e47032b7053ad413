"""The walk: publish, point, run; again over a long link; snapshots as new machines; a worker by user data."""

from __future__ import annotations

import re

from demo.terminal import StepFailed
from swrepo.cloud import walk
from swrepo.cloud.walk import Step, Where
from swrepo.image.vm import VirtualMachine
from swrepo.machine.settings import SAMPLE_REPOSITORY as SAMPLE
from testdrive import copies
from testdrive.drive import CACHED_OBJECTS, Drive
from testdrive.machine import Login

_DELAY_MS = 50
_INSIDE = "$(ip -o -4 address show | awk '/10[.]77[.]0/ {print $2}')"
_ROUND_TRIP = re.compile(r"rtt min/avg/max/mdev = ([0-9.]+)/")


def play(drive: Drive) -> None:
    """All of it."""
    drive.terminal.say("A server and a client are started from their images")
    server = drive.start("server", 1, drive.images["server"])
    client = drive.start("client", 2, drive.images["client"])
    drive.wait(server, client)
    first_walk(drive, server, client)
    long_link(drive, server, client)
    second = copies.play(drive, server, client)
    worker(drive, second)


def first_walk(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> None:
    """What the page of 2013 says, word for word where it can be."""
    drive.terminal.say("Who logs in to the server is told what it serves; the client is pointed to it")
    drive.type(Login(server), Step(Where.SERVER, "", "swrepo --version"))
    drive.take(walk.first_use(server.plan.address), server, client)
    drive.terminal.say("An application, Goodbye, is added on the server")
    drive.take(walk.addition(server.plan.address, "Goodbye"), server, client)


def long_link(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> None:
    """The same with 50 ms each way between the two, from an empty cache."""
    terminal, address = drive.terminal, server.plan.address
    terminal.say(f"The link between the two gets {_DELAY_MS} ms each way")
    near = _round_trip(drive, client, address)
    for machine in (server, client):
        terminal.type(Login(machine), f"sudo tc qdisc replace dev {_INSIDE} root netem delay {_DELAY_MS}ms")
    far = _round_trip(drive, client, address)
    if far < 2 * _DELAY_MS or near >= _DELAY_MS:
        raise StepFailed(f"the link was to become {2 * _DELAY_MS} ms long, there and back: {near} ms before, now {far}")
    terminal.say("The client forgets what it has fetched, and all is done again over that link")
    terminal.type(Login(client), f"{CACHED_OBJECTS} | grep -c .")
    terminal.type(Login(client), "sudo cvmfs_config umount && sudo cvmfs_config wipecache", "OK", absent=("Failed",))
    terminal.type(Login(client), CACHED_OBJECTS, absent=("/var",))
    point = Step(Where.CLIENT, "", f"sudo PointToCVMFS {address}", (SAMPLE, "signed as its key says"))
    drive.take((point, *walk.use(("Hello", "Goodbye"), ("FarAway",))), server, client, _FAR)
    drive.take(walk.addition(address, "FarAway"), server, client, _FAR)
    for machine in (server, client):
        terminal.type(Login(machine), f"sudo tc qdisc delete dev {_INSIDE} root")


_FAR = f" ({_DELAY_MS} ms away)"


def _round_trip(drive: Drive, client: VirtualMachine, address: str) -> float:
    """The shortest way there and back, in milliseconds."""
    shown = drive.terminal.type(Login(client), f"ping -c 3 -q {address}", " 0% packet loss").output
    found = _ROUND_TRIP.search(shown)
    if found is None:
        raise StepFailed(f"ping does not say how long the way is:\n{shown}")
    return float(found[1])


def worker(drive: Drive, server: VirtualMachine) -> None:
    """A worker comes up by user data alone: the first that is typed on it runs an application."""
    terminal = drive.terminal
    terminal.say("A worker is started with nothing but user data")
    settings = f"SERVER={server.plan.address}\nTRUST=yes\nREPOSITORIES={SAMPLE}\n"
    machine = drive.start("worker", 4, drive.images["worker"], {"/etc/swrepo/machine.conf": settings})
    drive.wait(machine)
    for application in ("Hello", copies.ADDED):
        drive.type(Login(machine, "guest"), walk.run(application))
    login = Login(machine)
    terminal.type(login, "sudo cat /etc/swrepo/machine.conf", *settings.splitlines())
    terminal.type(login, "systemctl is-active swrepo-machine swrepo", "active")
    terminal.type(login, "systemctl list-units --failed --no-legend", absent=("failed",))
