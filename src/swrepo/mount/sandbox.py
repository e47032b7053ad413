"""A mount that only this process and its children see, and that ends with the last of them: `swrepo exec`.

    this process --fork--> (gone) --fork--> server --> guard --> worker     mount.guard
        |  a mount namespace, the mount in it                  |
        +--------- the connection, through a socket ---------->+
        becomes the command

The server stays in the namespaces of the caller, so it does not keep ours alive: when the last process in it ends, by
whatever cause, the kernel takes the mount away, and the server ends because its connection does. This process becomes
the command itself: signals, terminal and exit status need nobody to pass them on.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from swrepo.errors import MountFailed
from swrepo.fuse.mount import MountOptions, mount_in_namespace
from swrepo.mount.start import MountRequest, mount
from swrepo.system import assembled_root, namespace

_LONGEST_MESSAGE = 1 << 16
_LONGEST_TEXT = 1 << 12
_FIRST_INHERITED = 3


def enter(
    place: str,
    options: MountOptions,
    prepare: Callable[[], MountRequest],
    finish: Callable[[], None],
    *,
    fake_root: bool = False,
) -> None:
    """Show what `prepare` asks for at `place`, an absolute path; return when it answers. Only with one thread.

    `prepare` runs in the server, and so does `finish`, after the start: it may wait for the mount to end. Raises why
    there can be no mount. `fake_root`: see `namespace.enter`.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _start_server(theirs, ours, prepare, finish)
    theirs.close()
    with ours:
        namespace.enter(fake_root=fake_root)
        device = _mount(place, options)
        with suppress(OSError):  # the server has ended; why, it said
            socket.send_fds(ours, [b"mounted"], [device])
        os.close(device)
        message = ours.recv(_LONGEST_MESSAGE)
    if not message:
        raise MountFailed("the mounting process ended without a word; see its log")
    error = pickle.loads(message)  # noqa: S301 - from our own child
    if error is not None:
        raise error


def _mount(place: str, options: MountOptions) -> int:
    parent, name = os.path.split(place)
    if not os.path.lexists(place) and parent == "/":
        assembled_root.add_directory(name)
    return mount_in_namespace(place, options)


def _start_server(
    theirs: socket.socket, ours: socket.socket, prepare: Callable[[], MountRequest], finish: Callable[[], None]
) -> None:
    """By two forks, so that the command has no child that it did not start."""
    sys.stdout.flush()
    sys.stderr.flush()
    between = os.fork()
    if between == 0:
        if os.fork() == 0:
            ours.close()
            _serve(theirs, prepare, finish)
        os._exit(0)
    os.waitpid(between, 0)


def _serve(caller: socket.socket, prepare: Callable[[], MountRequest], finish: Callable[[], None]) -> NoReturn:
    """The server: what it has to say goes to the caller, which may have ended meanwhile."""
    try:
        os.setsid()
        _close_inherited(caller.fileno())
        _, devices, _, _ = socket.recv_fds(caller, _LONGEST_MESSAGE, 1)
        if devices:  # else there is no mount to serve
            os.set_inheritable(devices[0], False)  # noqa: FBT003 - the function takes it so
            os.register_at_fork(after_in_child=caller.close)  # the caller shall see the end of this process
            error = _try_to_mount(devices[0], prepare)
            os.close(devices[0])
            with suppress(OSError):
                caller.send(_pickled(error))
            caller.close()
            _leave_terminal()
            finish()
    except BaseException:  # noqa: BLE001 - the last line of defence, and it is shown
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _try_to_mount(device: int, prepare: Callable[[], MountRequest]) -> Exception | None:
    try:
        mount(replace(prepare(), mountpoint=f"/dev/fd/{device}", foreground=False))
    except Exception as error:  # noqa: BLE001 - the caller raises it
        return error
    return None


def _leave_terminal() -> None:
    """Who waits for the end of the command's output shall not wait for us."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _pickled(error: Exception | None) -> bytes:
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - our own; not every foreign error survives it
    except Exception:  # noqa: BLE001 - whatever its class does
        data = b""
    return (
        data
        if 0 < len(data) <= _LONGEST_MESSAGE
        else pickle.dumps(MountFailed(f"{type(error).__name__}: {error}"[:_LONGEST_TEXT]))
    )


def _close_inherited(kept: int) -> None:
    """What the command inherits (a lock, the end of a pipe) must not stay open here when the command has ended."""
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the directory's own descriptor is gone by now
            if number >= _FIRST_INHERITED and number != kept and os.get_inheritable(number):
                os.close(number)
