"""The rim: whatever a command raises becomes one line on standard error and an exit code (docs/errors.md)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from types import MappingProxyType

from swrepo.errors import SwrepoError
from swrepo.system.leaving import leave
from swrepo.system.loading import begin_loading

INTERRUPTED = 130
BROKEN_PIPE = 141
UNEXPECTED = 70
"""An error in swrepo itself (EX_SOFTWARE)."""

DEBUG_VARIABLE = "SWREPO_DEBUG"

_NO_OTHERS: Mapping[int, int] = MappingProxyType({})


def as_program(
    run: Callable[[list[str]], int], program: str, argv: Sequence[str] | None, codes: Mapping[int, int] = _NO_OTHERS
) -> int:
    """Run a command line; its exit code, or the one that `codes` has in its place.

    `argv`: None is that of this process, which ends here. `run` says when all of the program is `loaded`.
    """
    if argv is not None:
        code = guarded(lambda: run(list(argv)), program)
        return codes.get(code, code)
    begin_loading()
    code = guarded(lambda: run(sys.argv[1:]), program)
    return leave(codes.get(code, code))


def guarded(body: Callable[[], int], program: str) -> int:
    """Run `body`; its result, or the exit code of what it raised."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every system's encoding has every character of a name
    try:
        code = body()
        sys.stdout.flush()
    except SwrepoError as error:
        text = "; ".join([str(error), *getattr(error, "__notes__", ())])
        return _complain(program, text, error.exit_code, error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    except OSError as error:
        return _complain(program, _os_error(error), SwrepoError.exit_code, error)
    except Exception as error:  # noqa: BLE001 - the last border: nobody shall see a traceback unasked
        text = f"{type(error).__name__}: {error} (an error in {program} itself; {DEBUG_VARIABLE}=1 shows where)"
        return _complain(program, text, UNEXPECTED, error)
    return code


def _complain(program: str, text: str, code: int, error: Exception) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error)
    prefix = "" if text.startswith(program) else f"{program}: "
    print(f"{prefix}{' '.join(text.split())}", file=sys.stderr)
    return code


def _os_error(error: OSError) -> str:
    what = error.strerror or str(error)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes)) and name]
    return f"{': '.join(names)}: {what}" if names else what


def _forget_stdout() -> None:
    """Keep the interpreter from complaining when it flushes a pipe that nobody reads."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
