"""Snapshots of customised machines start as new machines: with an identity of their own, and all that was theirs."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from demo.terminal import StepFailed
from swrepo.cloud import walk
from swrepo.cloud.login import GUEST
from swrepo.cloud.walk import OWNER, Step, Where
from swrepo.image.vm import VirtualMachine
from swrepo.machine.settings import SAMPLE_REPOSITORY as SAMPLE
from testdrive.drive import CACHED_OBJECTS, Drive
from testdrive.machine import Login

ADDED = "OnTheCopy"
"""An application that is published on the second server alone."""

_SETTING = "CVMFS_QUOTA_LIMIT=1234"
_NOTE = "what a guest wrote"
_SHOWN = 20

_IDENTITY = {
    "machine id": "cat /etc/machine-id",
    "host key": "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub",
    "address": "ip -o -4 address show to 10.77.0.0/24 | awk '{print $4}'",
    "name": "hostname",
}
_SERVED = {
    # By its owner: everybody else has repositories of their own.
    "revision": f"sudo -u {OWNER} swrepo server info --json {SAMPLE} | grep '\"revision\"'",
    "public key": f"sha1sum /etc/cvmfs/keys/{SAMPLE}.pub | cut -c-40",
    "secret key": f"sudo sha1sum /etc/cvmfs/keys/{SAMPLE}.key | cut -c-40",
    "what is served": f"curl -fsS http://localhost/cvmfs/{SAMPLE}/.cvmfspublished | sha1sum | cut -c-40",
}
_OLDER_THAN_THE_BOOT = f'{CACHED_OBJECTS} ! -newermt "$(uptime -s)"'

Answers = dict[str, str]


def play(drive: Drive, server: VirtualMachine, client: VirtualMachine) -> VirtualMachine:
    """Both are customised, shut down and kept; the second server, which runs beside the first."""
    terminal = drive.terminal
    terminal.say("The client is customised; server and client are shut down, and their disks kept as images")
    terminal.type(Login(client), f"echo {_SETTING} | sudo tee /etc/cvmfs/default.local", _SETTING)
    terminal.type(Login(client, GUEST), f"echo {_NOTE} > notes")
    terminal.type(Login(client), f"{CACHED_OBJECTS} | grep -c .")
    before = ask(server, {**_IDENTITY, **_SERVED}), ask(client, _IDENTITY)
    images = drive.keep(server, client)
    terminal.say("The server is started again, and a new server and a new client from these images beside it")
    server.start()
    second = drive.start("server2", 3, images[0])
    copy = drive.start("client2", 5, images[1])
    drive.wait(server, second, copy)
    compare(drive, "server", before[0], ask(second, {**_IDENTITY, **_SERVED}), other=_IDENTITY)
    terminal.type(Login(second, OWNER), f"cvmfs_server check {SAMPLE}", "no problems")
    compare(drive, "client", before[1], ask(copy, _IDENTITY), other=_IDENTITY)
    _client(drive, copy, server)
    _both_serve(drive, server, second, copy)
    return second


def ask(machine: VirtualMachine, questions: Mapping[str, str]) -> Answers:
    """The answers by question."""
    return {what: Login(machine).asks(command) for what, command in questions.items()}


def compare(drive: Drive, name: str, before: Answers, after: Answers, other: Mapping[str, str]) -> None:
    """Show both. StepFailed unless the answers to `other` differ and the rest are the same."""
    table = Table("", f"the {name}", "its copy", "")
    for what, was in before.items():
        table.add_row(what, was[-_SHOWN:], after[what][-_SHOWN:], "another" if what in other else "the same")
    drive.terminal.console.print(table)
    for what, was in before.items():
        if (after[what] != was) != (what in other):
            raise StepFailed(f"the {what} of the second {name} is {after[what]!r}, that of the first {was!r}")


def _client(drive: Drive, copy: VirtualMachine, server: VirtualMachine) -> None:
    """It has its settings, and fetches anew what it needs, from the server that it was pointed to; nobody points it."""
    terminal = drive.terminal
    terminal.say("The new client has the settings of the first, and nothing that it had fetched")
    terminal.type(Login(copy), _OLDER_THAN_THE_BOOT, absent=("/var",))
    drive.take(walk.use(("Hello", "FarAway")), server, copy)
    terminal.type(Login(copy), f"cvmfs_config showconfig -s {SAMPLE}", _SETTING, server.plan.address)
    terminal.type(Login(copy, GUEST), "cat notes", _NOTE)


def _both_serve(drive: Drive, server: VirtualMachine, second: VirtualMachine, client: VirtualMachine) -> None:
    """What is published on the second server is seen by who is pointed to it; the first goes on as it was."""
    terminal = drive.terminal
    terminal.say("The second server publishes what the first does not have; the client is pointed to it")
    before = ask(server, _SERVED)
    drive.take(walk.publication(ADDED), second, client)
    point = Step(Where.CLIENT, "", f"sudo PointToCVMFS {second.plan.address}", (SAMPLE, "signed as its key says"))
    drive.take((point, walk.run("FarAway"), walk.run(ADDED)), second, client)
    if ask(server, _SERVED) != before:
        raise StepFailed("what the second server published changed what the first serves")
    terminal.say("The first server still serves what it did")
