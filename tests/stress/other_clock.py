"""`python other_clock.py SECONDS JUMP WORDS...`: our command whose clock jumps by JUMP seconds after so many."""

from __future__ import annotations

import sys
import time

_real, _real_ns, _monotonic = time.time, time.time_ns, time.monotonic
_end = _monotonic() + float(sys.argv[1])
_jump = int(sys.argv[2])


def _offset() -> int:
    return _jump if _monotonic() >= _end else 0


time.time = lambda: _real() + _offset()
time.time_ns = lambda: _real_ns() + _offset() * 10**9

from swrepo.cli.main import main  # noqa: E402 - our modules keep the clock that they find

if __name__ == "__main__":
    sys.exit(main(sys.argv[3:]))
