"""A virtual machine as somebody who types on it sees it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from demo.machine import Outcome
from swrepo.image.vm import VirtualMachine

_SLOW = 600
"""Seconds that a command may take: emulated machines are slow."""


@dataclass(frozen=True, slots=True)
class Login:
    """An ssh connection to a machine, as one of its accounts."""

    name: str
    machine: VirtualMachine
    account: str = ""

    def run(self, command: str) -> Outcome:
        """Type a command line and wait for its end."""
        shell = f"sudo su - {self.account}" if self.account else "bash -l"
        options = ("ControlMaster=auto", "ControlPersist=120", f"ControlPath={self.machine.directory / 'ssh'}")
        words = self.machine.ssh(shell)
        words[1:1] = [word for option in options for word in ("-o", option)]
        done = subprocess.run(
            words,
            input=f"{command}\n".encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SLOW,
            check=False,
        )
        return Outcome(done.stdout.decode(errors="replace"), done.returncode)

    def asks(self, command: str) -> str:
        """What a command prints, without showing it; for comparisons."""
        return self.run(command).output.strip()
