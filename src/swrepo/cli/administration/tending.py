"""`cvmfs_config probe`, `reload`, `umount`, `wipecache`, `killall`, `fsck`: what changes or tries the mounts."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from swrepo.cli.administration.live import LiveMount, live_mounts
from swrepo.cli.configured import cache_base, full_name, general, settings
from swrepo.cli.mounting import find_socket
from swrepo.cli.places import Places
from swrepo.cli.selection import SHARED_CACHE
from swrepo.cli.talking import reload as take_over
from swrepo.config.parameters import interpret
from swrepo.errors import MountFailed, SwrepoError
from swrepo.fuse.mount import mounted_at, umount
from swrepo.mount.control import ask

_PROBE_PATIENCE = 60.0
_REFRESH_PATIENCE = 120.0
_CONNECTIONS = Path("/sys/fs/fuse/connections")
_OURS = "fuse.swrepo"


def probe(words: Sequence[str], places: Places) -> int:
    """Look into each repository, in a process of its own, which a mount that hangs cannot hold up for long."""
    parameters = general(places)
    code = 0
    for name in words or parameters.repositories:
        directory = mount_directory(places) / full_name(name, places)
        print(f"Probing {directory}... ", end="", flush=True)
        is_good = _answers(directory) and _OURS in (mounted_at(str(directory)), mounted_at(str(directory.parent)))
        print("OK" if is_good else "Failed!")
        code = code if is_good else 1
    return code


def mount_directory(places: Places) -> Path:
    """Where the repositories are."""
    configured = settings(None, places).get("CVMFS_MOUNT_DIR")
    usual = places.mountpoint == Path("/cvmfs")
    return Path(configured.value) if configured is not None and configured.value and usual else places.mountpoint


def _answers(directory: Path) -> bool:
    words = ["ls", "-d", f"{directory}/."]
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise MountFailed(f"cannot start ls: {error.strerror}") from error
    try:
        return child.wait(_PROBE_PATIENCE) == 0
    except subprocess.TimeoutExpired:
        child.kill()  # it goes when the mount lets it; nobody waits for that
        return False


def reload(words: Sequence[str], places: Places) -> int:
    """Go on with the code and configuration of now, and look for new revisions; with `-c` empty the caches too."""
    names = {full_name(word, places) for word in words if word != "-c"}
    code = 0
    for mount in live_mounts(places):
        in_use = {repository["fqrn"] for _, repository in mount.repositories()}
        if names and not names & in_use:
            continue
        print(f"Reloading {mount.mountpoint}: ", end="", flush=True)
        code = max(code, _reload(mount, places))
    return max(code, _wipe(places)) if "-c" in words else code


def _reload(mount: LiveMount, places: Places) -> int:
    try:
        if mount.socket is None:
            raise MountFailed("it does not answer")
        answer = take_over(mount.socket, places)
        if "error: " not in answer:
            answer = ask(find_socket(mount.mountpoint, None, places), "remount", timeout=_REFRESH_PATIENCE)
    except MountFailed as error:
        print(f"Failed! ({error})")
        return 1
    print(f"Failed! ({answer})" if "error: " in answer else "OK")
    return int("error: " in answer)


def wipecache(_words: Sequence[str], places: Places) -> int:
    """Empty the caches; what is in use stays, and what is needed again is fetched again."""
    return _wipe(places)


def _wipe(places: Places) -> int:
    code = 0
    for directory in cache_directories(places):
        print(f"Wiping out {directory} ... ", end="", flush=True)
        try:
            if directory.is_dir():
                _empty(directory)
        except OSError as error:
            print(f"Failed! ({error.strerror})")
            code = 1
        else:
            print("OK")
    return code


def _empty(cache: Path) -> None:
    """Remove the objects. A mount that uses the cache keeps its open files, and fetches what it misses."""
    from swrepo.cache.inventory import held

    for item in held(cache):
        (cache / item.path).unlink(missing_ok=True)


def cache_directories(places: Places) -> list[Path]:
    """The cache of all, and those of single repositories."""
    base = cache_base(places)
    found = {base / SHARED_CACHE}
    for name in general(places).repositories:
        fqrn = full_name(name, places)
        with suppress(SwrepoError):
            parameters = interpret(settings(fqrn, places))
            if parameters.cache_directory:
                found.add(Path(parameters.cache_directory))
            elif not parameters.shared_cache:
                found.add(base / fqrn)
    return sorted(found)


def unmount(_words: Sequence[str], places: Places) -> int:
    """Take all mounts away that nobody uses."""
    code = 0
    for mount in reversed(live_mounts(places)):
        print(f"Unmounting {mount.mountpoint}: ", end="", flush=True)
        try:
            umount(mount.mountpoint)
        except SwrepoError as error:
            print(f"Failed! ({error})")
            code = 1
        else:
            print("OK")
    return code


def killall(_words: Sequence[str], places: Places) -> int:
    """End every mount, whatever it is doing: the kernel drops the connection, so that even a mount that hangs goes."""
    mounts = list(reversed(live_mounts(places)))
    print("Terminating mounts... ", end="", flush=True)
    with _connections() as directory:
        for mount in mounts:
            with suppress(OSError):
                (directory / str(mount.connection) / "abort").write_text("1")
    print("OK")
    print("Unmounting stale mount points... ", end="", flush=True)
    failed = []
    for mount in mounts:
        try:
            if mounted_at(mount.mountpoint) is not None:
                umount(mount.mountpoint, lazy=True)
        except SwrepoError as error:
            failed.append(str(error))
    print(f"Failed! ({'; '.join(failed)})" if failed else "OK")
    return int(bool(failed))


@contextmanager
def _connections() -> Iterator[Path]:
    """The kernel's directory of FUSE connections, which containers often lack: mounted for the moment then."""
    if _CONNECTIONS.is_dir() and any(_CONNECTIONS.iterdir()):
        yield _CONNECTIONS
        return
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["mount", "-t", "fusectl", "fusectl", directory], capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        try:
            yield Path(directory)
        finally:
            if done.returncode == 0:
                subprocess.run(["umount", directory], capture_output=True, stdin=subprocess.DEVNULL, check=False)


def fsck(words: Sequence[str], places: Places) -> int:
    """Check each cache; see `swrepo fsck`."""
    from swrepo.cli.commands import fsck as command

    code = 0
    for directory in cache_directories(places):
        if directory.is_dir():
            print(f"CernVM-FS fsck on {directory}")
            code += command.run(Namespace(cache=str(directory), strict="-f" in words, jobs=_jobs(words), json=False))
    return code


def _jobs(words: Sequence[str]) -> int | None:
    for word, following in pairwise([*words, ""]):
        if word == "-j" and following.isdigit():
            return int(following)
    return None


def which(program: str) -> str | None:
    """Where a program is; the places of root's programs are looked at too."""
    import os

    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
