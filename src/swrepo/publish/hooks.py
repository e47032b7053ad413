"""The server's hooks: shell functions of the administrator, run before and after what changes a repository.

`/etc/cvmfs/cvmfs_server_hooks.sh` is the original's file; it defines functions called as the members of Hook, each of
which gets the repository's name. They run in a bash that has read the repository's `server.conf` (so that
$CVMFS_SPOOL_DIR and its like are there) with `set -e`, as in the original. What they print goes to standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from swrepo.errors import PublishError
from swrepo.publish.layout import ServerLayout

_SHELL = "/bin/bash"
_PROGRAM = """
[ ! -r "$1" ] || . "$1"
hook=$3 name=$4
. "$2" || exit
if [ "$(type -t "$hook")" != function ]; then exit 0; fi
set -e
"$hook" "$name"
"""
_STANDARD_ERROR = 2
_AFTER = "_after_hook"


class Hook(StrEnum):
    """The functions that are called, where they exist."""

    TRANSACTION_BEFORE = "transaction_before_hook"
    TRANSACTION_AFTER = "transaction_after_hook"
    ABORT_BEFORE = "abort_before_hook"
    ABORT_AFTER = "abort_after_hook"
    PUBLISH_BEFORE = "publish_before_hook"
    PUBLISH_AFTER = "publish_after_hook"


def run_hook(layout: ServerLayout, hook: Hook, fqrn: str) -> None:
    """Run the function, if there is one. PublishError where it fails; a `before` hook refuses with it what follows."""
    file = layout.hooks
    if not file.exists():
        return
    import subprocess  # here: few have hooks

    command = [_SHELL, "-c", _PROGRAM, "hooks", str(layout.repository(fqrn).server_conf), str(file), hook, fqrn]
    try:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=_STANDARD_ERROR, check=False).returncode
    except OSError as error:
        raise PublishError(f"{hook} of {fqrn} cannot be run with {_SHELL}: {error.strerror}") from error
    if code:
        raise PublishError(f"{hook} of {fqrn} failed with exit code {code}, {_consequence(hook)}; it is in {file}")


@contextmanager
def hooks_around(layout: ServerLayout, before: Hook, after: Hook, fqrn: str) -> Iterator[None]:
    """Run `before`, the block, and, where that succeeded, `after`."""
    run_hook(layout, before, fqrn)
    yield
    run_hook(layout, after, fqrn)


def _consequence(hook: Hook) -> str:
    if hook.endswith(_AFTER):
        return "after all was done: the repository is changed"
    return "so nothing was done"
