"""The kernel and the programs that mounting needs: /dev/fuse, its version, user namespaces, fusermount3."""

from __future__ import annotations

import os
import platform
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from swrepo.cli.administration.tending import which
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.system.user import is_root

_DEVICE = "/dev/fuse"
_PASSTHROUGH = (6, 9)
_OLDEST = (4, 20)
_TRY_NAMESPACE = """
from swrepo.system.mounts import NEW_MOUNTS, NEW_USERS, unshare
unshare(NEW_MOUNTS | NEW_USERS)
"""
_LIMITS = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "1"),
    "/proc/sys/user/max_user_namespaces": ("0", "10000"),
}
"""Switch of the kernel: the value that forbids user namespaces, and one that allows them."""


def kernel() -> Iterator[Finding]:
    """Its version, and the device."""
    release = platform.release()
    version = tuple(int(number) for number in re.findall(r"\d+", release)[:2])
    if version < _OLDEST:
        yield warning("kernel", f"Linux {release} is older than 4.20", "listings are not kept: use a newer kernel")
    else:
        more = " (passthrough of reads is possible)" if version >= _PASSTHROUGH else ""
        yield ok("kernel", f"Linux {release}{more}")
    yield _device()


def _device() -> Finding:
    if not os.path.exists(_DEVICE):
        known = "fuse" in Path("/proc/filesystems").read_text().split()
        how = f"mknod -m 666 {_DEVICE} c 10 229; in a container: --device {_DEVICE}" if known else "modprobe fuse"
        return error("fuse", f"{_DEVICE} is missing", how)
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as failure:
        return error("fuse", f"{_DEVICE} cannot be opened: {failure.strerror}", f"chmod 666 {_DEVICE} (as root)")
    return ok("fuse", f"{_DEVICE} can be opened")


def helper() -> Iterator[Finding]:
    """The set-uid program with which ordinary users mount."""
    path = which("fusermount3") or which("fusermount")
    if path is None:
        text = "fusermount3 is missing: ordinary users can only mount in a namespace of their own (swrepo exec)"
        yield ok("fusermount3", text) if is_root() else error("fusermount3", text, "install the package fuse3")
        return
    status = os.stat(path)
    if not status.st_mode & stat.S_ISUID and status.st_uid == 0 and not _has_capability(path):
        yield warning("fusermount3", f"{path} is not set-uid root", f"chmod u+s {path} (as root)")
        return
    yield ok("fusermount3", f"{path}{_version(path)}")


def _has_capability(path: str) -> bool:
    with suppress(OSError):
        return "security.capability" in os.listxattr(path)
    return False


def _version(path: str) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=3, check=False)
        if (found := re.search(r"\d+\.\d+(\.\d+)?", done.stdout)) is not None:
            return f", version {found[0]}"
    return ""


def namespaces() -> Iterator[Finding]:
    """Whether `swrepo exec` can work: tried, in a process that ends at once."""
    done = subprocess.run(
        [sys.executable, "-c", _TRY_NAMESPACE], capture_output=True, text=True, timeout=10, check=False
    )
    if done.returncode == 0:
        yield ok("namespaces", "this user may make user and mount namespaces (swrepo exec works)")
        return
    for path, (forbidding, allowing) in _LIMITS.items():
        with suppress(OSError):
            if Path(path).read_text().strip() == forbidding:
                name = path.removeprefix("/proc/sys/").replace("/", ".")
                text = f"user namespaces are forbidden: {name} is {forbidding}"
                yield warning("namespaces", text, f"sysctl -w {name}={allowing} (as root), or 'swrepo mount'")
                return
    reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
    text = f"user namespaces cannot be made: {reason}"
    yield warning(
        "namespaces", text, "a container's seccomp profile or AppArmor forbids them; 'swrepo mount' does without"
    )
