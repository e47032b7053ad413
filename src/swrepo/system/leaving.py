"""Programs end at once: what they hold goes with the process, and need not be taken apart object by object before that.

For programs of our own alone, as `loading`.
"""

from __future__ import annotations

import atexit
import os
import sys


def leave(code: int) -> int:
    """End the process with this exit code, once all is written and what asked to be told (`atexit`) has been told.

    It comes back with the code, for the ordinary way out, where threads have to be waited for, or where a profiler or
    debugger wants to see the end.
    """
    threading = sys.modules.get("threading")
    if (threading is not None and threading.active_count() > 1) or sys.getprofile() or sys.gettrace():
        return code
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other name for it
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads it any more, or it is closed: the ordinary way knows what to say
        return code
    os._exit(code)
