"""Examinations that do not depend on one another, all at once: what hangs costs its own lines only.

Each runs in a thread that keeps nothing alive: a name server or a file system that never answers is left waiting.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from swrepo.cli.diagnosis.finding import Finding, error
from swrepo.errors import SwrepoError

PATIENCE = 15.0
"""Seconds for everything; each single step has a shorter limit of its own."""


@dataclass(frozen=True, slots=True)
class Strand:
    """`examine` finds one thing after another, each presupposing those before. `about`: what, for messages."""

    area: str
    about: str
    examine: Callable[[], Iterable[Finding]]


def run(strands: Sequence[Strand], patience: float = PATIENCE) -> Iterator[Finding]:
    """The findings of all, in the order of the strands; each as soon as it and all before it are there."""
    end = time.monotonic() + patience
    running = [(strand, _start(strand)) for strand in strands]
    for strand, found in running:
        while True:
            try:
                item = found.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                text = f"{strand.about}: no answer within {patience:.0f} seconds"
                yield error(strand.area, text, "something it depends on hangs: see the lines about names and disks")
                break
            if item is None:
                break
            yield item


def _start(strand: Strand) -> queue.SimpleQueue[Finding | None]:
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()
    threading.Thread(target=_examine, args=(strand, found), name="diagnosis", daemon=True).start()
    return found


def _examine(strand: Strand, found: queue.SimpleQueue[Finding | None]) -> None:
    try:
        for item in strand.examine():
            found.put(item)
    except (SwrepoError, OSError) as failure:
        found.put(error(strand.area, f"{strand.about}: {failure}", "see the message"))
    except Exception as failure:  # noqa: BLE001 - one examination that is wrong itself must not hide the others
        found.put(
            error(
                strand.area,
                f"{strand.about}: {type(failure).__name__}: {failure}",
                "this is an error in swrepo itself: report it",
            )
        )
    finally:
        found.put(None)
