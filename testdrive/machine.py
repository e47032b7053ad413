"""A virtual machine as somebody who types on it sees it."""

from __future__ import annotations

from dataclasses import dataclass

from demo.machine import Outcome
from swrepo.cloud import login
from swrepo.image.vm import VirtualMachine


@dataclass(frozen=True, slots=True)
class Login:
    """An ssh connection to a machine, as one of its accounts."""

    name: str
    machine: VirtualMachine
    account: str = ""

    def run(self, command: str) -> Outcome:
        """Type a command line and wait for its end."""
        options = ("ControlMaster=auto", "ControlPersist=120", f"ControlPath={self.machine.directory / 'ssh'}")
        words = self.machine.ssh()
        words[1:1] = [word for option in options for word in ("-o", option)]
        done = login.run(words, self.account, command)
        return Outcome(done.output, done.code)

    def asks(self, command: str) -> str:
        """What a command prints, without showing it; for comparisons."""
        return self.run(command).output.strip()
