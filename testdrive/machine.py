"""A virtual machine as somebody who types on it sees it."""

from __future__ import annotations

from dataclasses import dataclass

from demo.machine import Outcome
from demo.terminal import StepFailed
from swrepo.cloud import login
from swrepo.image.vm import VirtualMachine


@dataclass(frozen=True, slots=True)
class Login:
    """An ssh connection to a machine, as one of its accounts."""

    machine: VirtualMachine
    account: str = ""

    @property
    def name(self) -> str:
        """As a prompt shows it."""
        where = self.machine.plan.name
        return f"{self.account}@{where}" if self.account else where

    def run(self, command: str) -> Outcome:
        """Type a command line and wait for its end."""
        options = ("ControlMaster=auto", "ControlPersist=120", f"ControlPath={self.machine.directory / 'ssh'}")
        words = self.machine.ssh()
        words[1:1] = [word for option in options for word in ("-o", option)]
        done = login.run(words, self.account, command)
        return Outcome(done.output, done.code)

    def asks(self, command: str) -> str:
        """What a command prints, not shown; for comparisons, so one that fails or says nothing is no answer."""
        done = self.run(f"set -o pipefail; {command}")  # nor is what is left of one that fails in the middle
        answer = done.output.strip()
        if done.code or not answer:
            raise StepFailed(f"'{command}' on the {self.name} ended with exit code {done.code}:\n{done.output}")
        return answer
