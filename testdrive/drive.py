"""What all acts of the test drive need: machines that start and stop, steps that are typed and timed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from demo.machine import Outcome
from demo.terminal import StepFailed, Terminal
from swrepo.cloud.walk import Step, Where
from swrepo.image.vm import MachinePlan, VirtualMachine
from testdrive.machine import Login

PATIENCE = 2400.0
CACHED_OBJECTS = "sudo find /var/lib/cvmfs -path '*/[0-9a-f][0-9a-f]/*' -type f"
"""What a client has fetched."""


@dataclass(slots=True)
class Drive:
    """Where it happens: `images` by role, `directory` for disks, who watches, and what is running.

    `switch`: the multicast group that stands for the cable between the machines, used by nobody else on this computer.
    """

    images: dict[str, Path]
    directory: Path
    accelerator: str
    terminal: Terminal
    switch: str
    running: list[VirtualMachine] = field(default_factory=list)

    def start(self, name: str, number: int, image: Path, files: dict[str, str] | None = None) -> VirtualMachine:
        """Start a machine; `wait` for it."""
        plan = MachinePlan(name, number, image, accelerator=self.accelerator, switch=self.switch)
        machine = VirtualMachine(plan, self.directory / name)
        machine.start(files)
        self.running.append(machine)
        return machine

    def wait(self, *machines: VirtualMachine) -> None:
        """Until somebody can log in to each, and each has done all that it does at boot. They were started just now."""
        with ThreadPoolExecutor(len(machines)) as pool:
            ready = list(pool.map(lambda machine: machine.wait_for_ssh(PATIENCE), machines))
        beside = f" ({len(machines)} at once)" if len(machines) > 1 else ""
        for machine, seconds in zip(machines, ready, strict=True):
            self.terminal.times.append((f"{machine.plan.name}: from power on to ready{beside}", seconds))

    def keep(self, *machines: VirtualMachine) -> list[Path]:
        """Shut machines down as their administrators would; their disks as images that depend on no other."""
        began = time.monotonic()
        with ThreadPoolExecutor(len(machines)) as pool:
            images = list(pool.map(_kept, machines))
        self.terminal.times.append((f"power off and snapshot ({len(machines)} at once)", time.monotonic() - began))
        return images

    def type(self, login: Login, step: Step, where: str = "") -> Outcome:
        """Type a step, look at what it prints, and note how long it takes."""
        with self.terminal.timed(f"{login.name}: {step.command.rpartition('&& ')[2]}{where}"):
            return self.terminal.type(login, step.command, *step.expected, absent=step.absent)

    def take(self, steps: Iterable[Step], server: VirtualMachine, client: VirtualMachine, where: str = "") -> None:
        """Type steps on the one or the other."""
        machines = {Where.SERVER: server, Where.CLIENT: client}
        for step in steps:
            self.type(Login(machines[step.where], step.account), step, where)

    def stop(self) -> None:
        """Cut the power of all that runs."""
        for machine in self.running:
            machine.kill()


def _kept(machine: VirtualMachine) -> Path:
    image = machine.directory.with_name(f"{machine.plan.name}-snapshot.qcow2")
    if not machine.power_off():
        raise StepFailed(f"{machine.plan.name} did not shut down")
    machine.snapshot(image)
    return image
