"""Asks before something is done that cannot be undone."""

from __future__ import annotations

import sys

from swrepo.errors import UsageError


def confirm(question: str) -> bool:
    """Whether the person says yes. UsageError where nobody can be asked."""
    print(f"{question} (y/N)? ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print()
        raise UsageError("nobody was there to say yes; -f does it without asking")
    return answer.strip().lower() in ("y", "yes")
