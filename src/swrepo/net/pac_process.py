"""Runs a PAC file, as a program: questions from standard input, answers to standard output, both JSON.

A process of its own, because the PAC file comes from the network and could go on for ever or fill the memory.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

try:
    from pypac.parser import PACFile  # type: ignore[import-untyped]
except ImportError:  # an extra
    PACFile = None

_SECONDS = 5
_MEMORY = 2 << 30


def main() -> int:
    """0, or 1 with a sentence on standard error."""
    if PACFile is None:
        return _refuse("reading PAC files takes an extra: pip install 'swrepo[pac]'")
    _limit()
    given = json.loads(sys.stdin.read())
    try:
        found = PACFile(given["program"])
        answers = [found.find_proxy_for_url(url, host) for url, host in given["questions"]]
    except Exception as error:  # noqa: BLE001 - whatever a program from elsewhere does
        return _refuse(f"{type(error).__name__}: {' '.join(str(error).split())}")
    json.dump(answers, sys.stdout)
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 1


def _limit() -> None:
    try:
        resource = import_module("resource")
    except ImportError:  # not on every system
        return
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    sys.exit(main())
