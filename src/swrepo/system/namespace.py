"""A mount namespace of our own: what is mounted in it nobody else sees, and it ends with the last process in it.

The machine's root needs nothing more. Everybody else needs a user namespace too, which gives the right to mount inside
it; there one keeps one's own number, and only that one.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from swrepo.errors import PermissionRefused
from swrepo.system import mounts

_SETTINGS = Path("/proc/sys")
_SETFCAP = 31
_ROOT_WITHOUT_RIGHTS = (
    "root of this container lacks CAP_SETFCAP, without which the kernel maps no root into one "
    "(docker, podman: --cap-add SETFCAP, or run as another user: --user 1000)"
)


def enter(*, fake_root: bool = False) -> None:
    """Put this process, which has one thread, into a namespace of its own. PermissionRefused says what forbids it.

    `fake_root`: where that takes a user namespace, have the number of root in it.
    """
    if not _enter_as_root():
        uid, gid = os.geteuid(), os.getegid()
        cannot_map = uid == 0 and not _has_capability(_SETFCAP)
        try:
            mounts.unshare(mounts.NEW_USERS | mounts.NEW_MOUNTS)
            with suppress(FileNotFoundError):
                _write("setgroups", "deny")  # the kernel's condition for mapping a group without privilege
            _write("uid_map", f"{0 if fake_root else uid} {uid} 1")
            _write("gid_map", f"{0 if fake_root else gid} {gid} 1")
        except OSError as error:
            reason = _ROOT_WITHOUT_RIGHTS if cannot_map and error.errno == errno.EPERM else _reason(error)
            raise PermissionRefused(f"no user namespace can be made here: {reason}") from error
    try:
        # Mounts of the machine still come in; ours do not get out.
        mounts.mount("none", "/", None, mounts.REC | mounts.SLAVE)
    except OSError as error:
        raise PermissionRefused(f"nothing can be mounted in a user namespace here: {_reason(error)}") from error


def _enter_as_root() -> bool:
    """Whether the right to mount was here already."""
    with suppress(OSError):
        mounts.unshare(mounts.NEW_MOUNTS)
        return True
    return False


def _write(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def _reason(error: OSError) -> str:
    """What forbids it, and who can change that."""
    if error.errno == errno.ENOSPC:
        if _setting("user/max_user_namespaces") == "0":
            return (
                "user.max_user_namespaces is 0 on this machine; its administrator can set it "
                "(sysctl user.max_user_namespaces=15000)"
            )
        return "there are too many, or one in the other too deep (user.max_user_namespaces)"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "kernel.unprivileged_userns_clone is 0 on this machine; its administrator can set it to 1"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor restricts them to programs with a profile, as in Ubuntu since 24.04; the administrator can "
            "install one for swrepo or set kernel.apparmor_restrict_unprivileged_userns to 0"
        )
    if _is_in_chroot():
        return "the root directory is that of a chroot, in which the kernel allows none"
    if _is_filtered():
        return (
            f"{error.strerror}; this container's seccomp filter forbids it, most likely "
            "(docker, podman: --security-opt seccomp=unconfined)"
        )
    return f"{error.strerror} (the kernel, or its security module)"


def _has_capability(number: int) -> bool:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
    return True


def _setting(name: str) -> str | None:
    with suppress(OSError):
        return (_SETTINGS / name).read_text().strip()
    return None


def _is_in_chroot() -> bool:
    """The list of mounts has none whose mount point is our root."""
    with suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
        return not any(line.split(b" ")[4] == b"/" for line in lines)
    return False


def _is_filtered() -> bool:
    with suppress(OSError):
        return "\nSeccomp:\t2\n" in Path("/proc/self/status").read_text()
    return False
