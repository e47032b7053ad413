"""Another program takes over a live mount: its code and its configuration are those of the moment.

    worker --starts, to try--> program     it reads its configuration and says whether it could go on
    worker ends with RENEW; guard --becomes--> program, which goes on with what the worker left (mount.handover)

Requests wait meanwhile; open files, listings and what the kernel keeps stay, as after a crash (ADR 7). Where the trial
fails, nothing has changed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from swrepo.client.anchors import trust_anchors
from swrepo.errors import MountFailed
from swrepo.mount.handover import Handover, require_shape, shape
from swrepo.mount.request import MountRequest, Program

VARIABLE: Final = "SWREPO_TAKES_OVER"
"""In the environment of a program that takes over a mount, or tries whether it could."""

_TRIAL = "trial"
_PATIENCE = 120.0
_LONGEST_SENTENCE = 2000


def become(program: Program, handover: Handover, guard: int) -> NoReturn:
    """Be the program that goes on with the mount; in a child of the guard."""
    os.execve(program.words[0], program.words, {**program.environment, VARIABLE: handover.leave(guard)})  # noqa: S606


def attempt(program: Program, repositories: Iterable[str]) -> None:
    """Start the program to see whether it could go on with these repositories. MountFailed says why it could not."""
    if not program.words:
        raise MountFailed("this mount cannot be reloaded: it was not made by a command that could be repeated")
    wanted = json.dumps({"shape": shape(), _TRIAL: list(repositories)})
    try:
        done = subprocess.run(
            program.words,
            env={**program.environment, VARIABLE: wanted},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise MountFailed(f"nothing is changed: {program.words[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise MountFailed(f"nothing is changed: {' '.join(program.words)} did not end") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-_LONGEST_SENTENCE:]
        raise MountFailed(f"nothing is changed: {said or f'exit code {done.returncode}'}")


def wanted_trial(text: str) -> list[str] | None:
    """The repositories that a trial is about; None where it is no trial. MountFailed where no takeover is possible."""
    wanted: dict[str, Any] = json.loads(text)
    require_shape(wanted["shape"])
    names: list[str] | None = wanted.get(_TRIAL)
    return names


def check(request: MountRequest, repositories: Iterable[str]) -> None:
    """Whether all that the request needs of this machine is there. Raises what is missing."""
    found = [] if request.repository is None else [request.repository]
    if request.resolve is not None:
        found += [request.resolve(name) for name in repositories]
    for repository in found:
        trust_anchors(repository.keys, repository.blacklists)
