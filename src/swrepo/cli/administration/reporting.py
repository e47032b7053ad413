"""`cvmfs_config bugreport`: an archive of what a helper wants to know. No mount is touched, and no key is in it."""

from __future__ import annotations

import io
import os
import platform
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path

from swrepo import __version__
from swrepo.cli.administration import overview
from swrepo.cli.administration.live import PATIENCE, live_mounts
from swrepo.cli.configured import full_name, general, settings
from swrepo.cli.places import Places
from swrepo.errors import MountFailed, SwrepoError, UsageError
from swrepo.mount.control import ask

_ASKED = ("status", "counters", "cache instance", "cache size", "host info", "proxy info", "parameters", "version")
_FILES = ("/proc/self/mountinfo", "/proc/filesystems", "/etc/os-release", "/etc/fuse.conf", "/etc/resolv.conf")
_PROGRAMS = (
    ("uname", "-a"),
    ("df", "-h", "-l", "-x", "fuse.swrepo", "-x", "fuse"),
    ("journalctl", "-t", "swrepo", "-n", "2000", "--no-pager"),
    ("ps", "-eo", "pid,ppid,stat,etime,rss,args"),
)
_LOG_TAIL = 1 << 20
_SECRETS = re.compile(r"(?i)(?<=://)[^/\s@]+(?=@)|(?<=token=)\S+|(?<=password=)\S+|(?<=secret=)\S+")


def bugreport(words: Sequence[str], places: Places) -> int:
    """Write the archive into the current directory, or as the file that is named; `-` stands for standard output."""
    if len(words) > 1:
        raise UsageError("cvmfs_config bugreport takes one file at most")
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = words[0] if words else f"cvmfs-bugreport-{stamp}.tar.gz"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        for name, text in _parts(places):
            _add(file, f"cvmfs-bugreport-{stamp}/{name}", _SECRETS.sub("***", text))
    if path == "-":
        sys.stdout.buffer.write(archive.getvalue())
        return 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(archive.getvalue())
    print(f"System information is in {path}; look through it before you pass it on")
    return 0


def _parts(places: Places) -> Iterator[tuple[str, str]]:
    """Names and texts."""
    yield "version", f"swrepo {__version__}, Python {sys.version}, {platform.platform()}\n"
    yield "doctor", _said(_doctor)
    mounts = live_mounts(places)
    yield "status.json", _said(lambda: overview.as_json(mounts))
    for number, mount in enumerate(mounts):
        yield f"mount{number}", "\n".join(_answers(mount.socket) if mount.state and mount.socket else ["no answer"])
    yield "configuration", _configuration(places)
    for directory in places.configurations:
        for path in sorted(directory.rglob("*")):
            if path.suffix in (".conf", ".local") and path.is_file():
                yield f"files{path}", _read(path)
    for name in _FILES:
        yield f"files{name}", _read(Path(name))
    for program in _PROGRAMS:
        yield " ".join(program).replace("/", "_"), _output(program)
    for path in sorted(places.cache_base.glob("*/swrepo.log")):
        yield f"files{path}", _read(path)


def _doctor() -> int:
    from argparse import Namespace

    from swrepo.cli.diagnosis import examination, showing

    nothing = Namespace(subject=None, key=[], cache=None, proxy=None)
    return showing.as_lines(examination.examine(nothing), only_wrong=False)


def _answers(socket: Path) -> Iterator[str]:
    for command in _ASKED:
        with suppress(MountFailed):
            yield f"--- {command}\n{ask(socket, command, timeout=PATIENCE)}"


def _configuration(places: Places) -> str:
    lines = []
    try:
        names = [None, *(full_name(name, places) for name in general(places).repositories)]
    except SwrepoError as failure:
        return f"{failure}\n"
    for name in names:
        lines.append(f"--- {name or 'every repository'}")
        try:
            found = settings(name, places)
            lines += [f"{key}={found[key].value}    # {found[key].origin}" for key in sorted(found)]
        except SwrepoError as failure:
            lines.append(str(failure))
    return "\n".join(lines) + "\n"


def _said(command: Callable[[], int]) -> str:
    """What a command writes to standard output."""
    out = io.StringIO()
    with redirect_stdout(out):
        command()
    return out.getvalue()


def _read(path: Path) -> str:
    """The end of a file; why not, where it cannot be read."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size > _LOG_TAIL:
                file.seek(-_LOG_TAIL, os.SEEK_END)
            return file.read(_LOG_TAIL).decode("utf-8", "replace")
    except OSError as failure:
        return f"{failure.strerror}\n"


def _output(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=5, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        return f"{failure}\n"
    return done.stdout + done.stderr


def _add(file: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode("utf-8", "replace")
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
    file.addfile(entry, io.BytesIO(data))
