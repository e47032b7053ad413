"""Shows commands as they are typed and what they print, and stops the demo when one does not print what it must."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.text import Text

from demo.machine import Outcome

_SHOWN_LINES = 14
_PROMPT = {"server": "bold green", "client": "bold blue"}


class Machine(Protocol):
    """Where commands are typed."""

    @property
    def name(self) -> str: ...

    def run(self, command: str) -> Outcome:
        """Type a command line and wait for its end."""
        ...


class StepFailed(Exception):
    """A command did not do what the demo says it does."""


@dataclass(slots=True)
class Terminal:
    """Where the demo is watched. `times` collects how long each named step took."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    times: list[tuple[str, float]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A sentence of the narrator."""
        self.console.print(Text(f"\n{text}", style="italic"))

    def type(
        self, machine: Machine, command: str, *expected: str, absent: tuple[str, ...] = (), fails: bool = False
    ) -> Outcome:
        """Type a command line; every text of `expected` must be printed, none of `absent`.

        StepFailed otherwise, and where its exit code is not 0 (with `fails`: where it is).
        """
        first, *more = command.splitlines()
        prompt = Text(f"{machine.name}# ", style=_PROMPT.get(machine.name, "bold"))
        self.console.print(prompt + Text("\n".join([first, *(f"> {line}" for line in more)]), style="bold"))
        outcome = machine.run(command)
        self._show(outcome.output)
        _check(machine, command, outcome, expected, absent, fails=fails)
        return outcome

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long the block takes."""
        began = time.monotonic()
        yield
        self.times.append((step, time.monotonic() - began))

    def _show(self, output: str) -> None:
        lines = output.rstrip("\n").splitlines()
        cut = len(lines) - _SHOWN_LINES
        if cut > 1:
            half = _SHOWN_LINES // 2
            lines = [*lines[:half], f"... ({cut} more lines)", *lines[-half:]]
        for line in lines:
            self.console.print(Text(line))


def _check(
    machine: Machine,
    command: str,
    outcome: Outcome,
    expected: tuple[str, ...],
    absent: tuple[str, ...],
    *,
    fails: bool,
) -> None:
    if (outcome.code != 0) != fails:
        raise StepFailed(f"'{command}' on the {machine.name} ended with exit code {outcome.code}:\n{outcome.output}")
    for text in expected:
        if text not in outcome.output:
            raise StepFailed(f"'{command}' on the {machine.name} did not print {text!r}:\n{outcome.output}")
    for text in absent:
        if text in outcome.output:
            raise StepFailed(f"'{command}' on the {machine.name} printed {text!r}:\n{outcome.output}")
