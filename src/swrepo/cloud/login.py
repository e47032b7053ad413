"""Commands on a machine of ours, over ssh, as one of its accounts."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from swrepo.errors import CloudRefused

LOGIN = "debian"
GUEST = "guest"
_PATIENCE = 600
_OPTIONS = ("StrictHostKeyChecking=accept-new", "LogLevel=ERROR", "ConnectTimeout=20", "BatchMode=yes")


class Outcome(NamedTuple):
    """What a command printed (both streams) and its exit code."""

    output: str
    code: int


def ssh_words(address: str, identity: str | None = None) -> list[str]:
    """The words before a command."""
    words = ["ssh", *(word for option in _OPTIONS for word in ("-o", option))]
    return [*words, *(("-i", identity) if identity else ()), f"{LOGIN}@{address}"]


def run(ssh: Sequence[str], account: str, command: str) -> Outcome:
    """Type a command line into a login shell of `account` ('' is whom ssh lets in). CloudRefused where it hangs."""
    shell = _shell(account)
    try:
        done = subprocess.run(
            [*ssh, shell],
            input=f"{command}\n".encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CloudRefused(f"'{command}' does not end; the machine may be overloaded or cut off") from error
    return Outcome(done.stdout.decode(errors="replace"), done.returncode)


def _shell(account: str) -> str:
    """How one becomes that account on our images: whoever may use sudo becomes a guest without it, and unasked."""
    if not account:
        return "bash -l"
    return f"su - {account}" if account == GUEST else f"sudo su - {account}"
