"""Attaching a FUSE connection to a directory and taking it off again: mount(2) where we may, else fusermount3.

mount(2) works for root and inside a user namespace that has its own mount namespace; fusermount3 is the set-uid helper
for ordinary users. A mount point `/dev/fd/N` stands for a connection that somebody else has mounted already.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import shutil
import socket
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from swrepo.errors import MountFailed, PermissionRefused
from swrepo.fuse.wire import MAX_PAGES, PAGE_SIZE

log = logging.getLogger(__name__)

DEVICE = "/dev/fuse"
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOATIME = 1, 2, 4, 1024
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_GIVEN_CONNECTION = re.compile(r"/dev/fd/(\d+)")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class MountOptions:
    """How the kernel shall treat the mount. `source` is what `mount` and `df` show first."""

    source: str = "swrepo"
    allow_other: bool = False
    suid: bool = False
    dev: bool = False

    def words(self) -> list[str]:
        """As option words of mount(8) and fusermount3."""
        chosen = ["ro", "suid" if self.suid else "nosuid", "dev" if self.dev else "nodev", "default_permissions"]
        chosen.append(f"max_read={MAX_PAGES * PAGE_SIZE}")
        if self.allow_other:
            chosen.append("allow_other")
        return chosen


def mount(mountpoint: str, options: MountOptions) -> int:
    """Mount on an existing directory and return the connection's file descriptor, which the caller serves.

    Raises MountFailed, with the kernel's or the helper's reason.
    """
    given = _GIVEN_CONNECTION.fullmatch(mountpoint)
    if given is not None:
        return _given_connection(int(given[1]))
    _check_directory(mountpoint)
    device = open_device()
    number = _system_mount(device, mountpoint, options)
    if number == 0:
        return device
    os.close(device)
    if number in (errno.EPERM, errno.EACCES):
        return _helper_mount(mountpoint, options)
    message = f"cannot mount on {mountpoint}: {os.strerror(number)}"
    raise MountFailed(message)


def mount_in_namespace(mountpoint: str, options: MountOptions) -> int:
    """The same in a namespace where we have the right to mount, and fusermount3 would have none."""
    device = open_device()
    number = _system_mount(device, mountpoint, options)
    if number != 0:
        os.close(device)
        message = f"cannot mount on {mountpoint} in a namespace: {os.strerror(number)}"
        raise MountFailed(message)
    return device


def open_device() -> int:
    """A connection that is not mounted yet. MountFailed says how to come by the device."""
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        message = f"{DEVICE} is missing: load the kernel's module (modprobe fuse), or let the container have the device"
        raise MountFailed(message) from error
    except OSError as error:
        message = f"{DEVICE} cannot be opened ({error.strerror}): make it readable and writable (chmod 666 {DEVICE})"
        raise MountFailed(message) from error


def umount(mountpoint: str, *, lazy: bool = False) -> None:
    """Unmount; `lazy` detaches it even while it is in use.

    Raises PermissionRefused, or MountFailed when it is not a mount point or is busy.
    """
    flags = _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazy else 0)
    if _libc.umount2(os.fsencode(mountpoint), flags) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EPERM:
        _helper_umount(mountpoint, lazy=lazy)
        return
    if number == errno.EINVAL:
        message = f"{mountpoint} is not a mount point"
    elif number == errno.EBUSY:
        message = f"{mountpoint} is busy: a program has a file open there or works in it"
    else:
        message = f"cannot unmount {mountpoint}: {os.strerror(number)}"
    raise MountFailed(message)


def read_ahead(mountpoint: str) -> None:
    """Let the kernel read ahead by the largest request, where we may set that (root); INIT cannot raise it."""
    device = os.stat(mountpoint).st_dev
    with suppress(OSError), open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w") as knob:
        knob.write(str(MAX_PAGES * PAGE_SIZE >> 10))


def is_initial_namespace() -> bool:
    """Whether user numbers are those of the machine: we are in no user namespace that maps them."""
    try:
        with open("/proc/self/uid_map", "rb") as table:
            return table.read().split() == [b"0", b"0", b"4294967295"]
    except OSError:
        return True  # a kernel without user namespaces


def mounted_at(mountpoint: str) -> str | None:
    """The type of the topmost file system mounted exactly on this (absolute) path; None where there is none.

    Never touches the mount itself, so it answers for a dead one too.
    """
    wanted = os.fsencode(mountpoint)
    found = None
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            fields = line.split(b" ")
            if _unescape(fields[4]) == wanted:
                found = fields[fields.index(b"-") + 1].decode("ascii", "replace")
    return found


def device_of(mountpoint: str) -> str | None:
    """MAJOR:MINOR of what is mounted exactly on this (absolute) path, without touching it."""
    wanted = os.fsencode(mountpoint)
    found = None
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            fields = line.split(b" ", 5)
            if _unescape(fields[4]) == wanted:
                found = fields[2].decode("ascii", "replace")
    return found


def place_of(mountpoint: str) -> str:
    """The absolute path of a mount point, without touching it: the process that asks may be the one that answers."""
    above, name = os.path.split(mountpoint.rstrip("/"))
    return os.path.join(os.path.realpath(above), name)


def is_dead(mountpoint: str) -> bool:
    """Whether a FUSE mount is there whose server has died."""
    try:
        os.statvfs(mountpoint)  # not `stat`: the kernel answers that from its cache after the server's death
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def _given_connection(number: int) -> int:
    with suppress(OSError):
        if stat.S_ISCHR(os.fstat(number).st_mode):
            os.set_inheritable(number, False)  # noqa: FBT003  # the function takes it so
            return number
    message = f"/dev/fd/{number} is not an open FUSE connection"
    raise MountFailed(message)


def _check_directory(mountpoint: str) -> None:
    try:
        mode = os.stat(mountpoint).st_mode
    except OSError as error:
        message = f"cannot mount on {mountpoint}: {error.strerror}"
        raise MountFailed(message) from error
    if not stat.S_ISDIR(mode):
        message = f"cannot mount on {mountpoint}: it is not a directory"
        raise MountFailed(message)


def _system_mount(device: int, mountpoint: str, options: MountOptions) -> int:
    """mount(2); 0 or an errno."""
    flags = _MS_RDONLY | (0 if options.suid else _MS_NOSUID) | (0 if options.dev else _MS_NODEV)
    words = [word for word in options.words() if "=" in word or word in ("default_permissions", "allow_other")]
    data = ",".join([f"fd={device}", "rootmode=40000", f"user_id={os.getuid()}", f"group_id={os.getgid()}", *words])
    source, target = os.fsencode(options.source), os.fsencode(mountpoint)
    if _libc.mount(source, target, b"fuse.swrepo", ctypes.c_ulong(flags), data.encode()) == 0:
        return 0
    return ctypes.get_errno()


def _helper() -> str:
    for name in ("fusermount3", "fusermount"):
        path = shutil.which(name)
        if path is not None:
            return path
    message = "mounting as an ordinary user needs fusermount3 (package fuse3), or a user namespace (unshare -Urm)"
    raise PermissionRefused(message)


def _helper_mount(mountpoint: str, options: MountOptions) -> int:
    """Let fusermount3 mount; it sends the connection back through a socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    source = options.source.replace("\\", "\\\\").replace(",", "\\,")
    words = ",".join([*options.words(), f"fsname={source}", "subtype=swrepo"])
    with ours, theirs:
        helper = subprocess.run(
            [_helper(), "-o", words, "--", mountpoint],
            env={"PATH": os.defpath, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        reason = helper.stderr.decode(errors="replace").strip() or f"exit code {helper.returncode}"
        message = f"cannot mount on {mountpoint}: {reason}"
        raise MountFailed(message)
    os.set_inheritable(descriptors[0], False)  # noqa: FBT003  # as above
    return descriptors[0]


def _helper_umount(mountpoint: str, *, lazy: bool) -> None:
    helper = subprocess.run(
        [_helper(), "-u", *(["-z"] if lazy else []), "--", mountpoint],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if helper.returncode != 0:
        reason = helper.stderr.decode(errors="replace").strip() or f"exit code {helper.returncode}"
        message = f"cannot unmount {mountpoint}: {reason}"
        raise MountFailed(message)


def _unescape(field: bytes) -> bytes:
    r"""Undo mountinfo's octal escapes (`\040` for a blank)."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), field)
