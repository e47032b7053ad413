"""The mounts of this user: those that answer, those that hang, those that are dead. None of them is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from swrepo.cli.administration.live import KIND, LiveMount, ask_all, live_mounts, mount_table
from swrepo.cli.diagnosis.finding import Finding, error, ok, warning
from swrepo.cli.mounting import sockets
from swrepo.cli.places import Places

_STATES = {"T": "is stopped", "t": "is held by a debugger", "D": "waits for a device or disk", "Z": "has ended"}


def mounts(places: Places) -> Iterator[Finding]:
    """A line for each mount."""
    found = live_mounts(places)
    for mount in found:
        yield _answering(mount) if mount.state is not None else silent(mount)
    if not found:
        yield ok("mounts", "nothing is mounted")
    yield from _others(places)


def _answering(mount: LiveMount) -> Finding:
    names = [repository["fqrn"] for _, repository in mount.repositories()]
    return ok("mounts", f"{mount.mountpoint} answers; in use: {', '.join(names) or 'nothing yet'}")


def silent(mount: LiveMount) -> Finding:
    """Why a mount does not answer, told from what the kernel knows of the process that serves it."""
    where, lazily = mount.mountpoint, f"swrepo umount -l {mount.mountpoint}"
    if mount.pid is None and mount.is_held:
        return error("mounts", f"{where} hangs: its process has not answered for a long time", lazily)
    if mount.pid is None:
        mend = f"{lazily}; then mount it again"
        return error("mounts", f"{where} is dead or not ours: nobody answers for it", mend)
    state = process_state(mount.pid)
    if state == "T":
        return error("mounts", f"{where} hangs: process {mount.pid} is stopped", f"kill -CONT {mount.pid}")
    if state is None:
        return error("mounts", f"{where} hangs: process {mount.pid} is gone", lazily)
    why = _STATES.get(state, "runs, but does not answer")
    text = f"{where} hangs: process {mount.pid} {why}"
    return error("mounts", text, f"kill -9 {mount.pid} (another takes its place), or {lazily}")


def process_state(pid: int) -> str | None:
    """The letter of proc_pid_stat(5); None where there is no such process."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    return None


def _others(places: Places) -> Iterator[Finding]:
    """Other file systems in our place."""
    wanted = str(places.mountpoint)
    for entry in mount_table():
        if entry.mountpoint == wanted and entry.kind == "autofs":
            yield ok("mounts", f"autofs watches {wanted}; 'swrepo mount --all' would do without it")
        elif entry.source == "cvmfs2" and entry.kind != KIND:
            text = f"{entry.mountpoint} is mounted by the original CernVM-FS client"
            yield warning("mounts", text, f"cvmfs_config umount (the original's), or umount {entry.mountpoint}")


def control_sockets(places: Places) -> Iterator[Finding]:
    """Those that nobody listens on, and those that cannot be reached."""
    paths = sockets(None, places)
    answered = 0
    for found in ask_all(paths):
        if found.state is not None:
            answered += 1
        elif not os.access(found.path, os.W_OK):
            yield warning("sockets", f"{found.path} belongs to another user", "ask as that user, or as root")
        elif not found.is_held:
            text = f"{found.path} was left behind: nobody listens there"
            yield warning("sockets", text, f"rm {found.path}")
    yield ok("sockets", f"{answered} of {len(paths)} control sockets answer")
