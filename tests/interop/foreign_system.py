"""Runs `swrepo` as if on another system: `python foreign_system.py {linux|macos|windows} TIME COMMAND...`.

With `-c PROGRAM` for the command, a Python program that uses it.

Before anything of swrepo is imported, what that system lacks is taken away, and some of its refusals are put in place.
TIME is what the clock shows: the golden whitelists expire.
"""

import builtins
import datetime as dt
import errno
import io
import os
import platform
import select
import signal
import socket
import sys
import threading
import time
import types

LINUX_ONLY = {
    os: """eventfd eventfd_read eventfd_write EFD_CLOEXEC EFD_NONBLOCK EFD_SEMAPHORE posix_fadvise O_PATH O_TMPFILE
        O_DIRECT O_NOATIME memfd_create preadv pwritev getxattr listxattr setxattr removexattr sched_getaffinity
        copy_file_range splice sendfile pipe2 pidfd_open""",
    select: "epoll EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLET EPOLLONESHOT EPOLLEXCLUSIVE EPOLL_CLOEXEC",
}
POSIX_ONLY = {
    os: """chown lchown fchown fchmod fork forkpty register_at_fork geteuid getuid getegid getgid getgroups getpgid
        getresuid setuid setsid killpg mkfifo mknod major minor makedev pread pwrite readv writev uname statvfs fstatvfs
        sync nice fdatasync fchdir get_blocking set_blocking openpty WNOHANG
        O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_SYNC O_DSYNC O_NOCTTY""",
    select: "poll POLLIN POLLOUT POLLERR POLLHUP",
    signal: "SIGHUP SIGQUIT SIGCHLD SIGURG SIGWINCH SIGCONT SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGKILL SIGSTOP alarm",
    socket: "AF_UNIX SO_REUSEPORT",
    time: "tzset",
}
POSIX_MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog")
DIR_FD = ("dir_fd", "src_dir_fd", "dst_dir_fd")
FORBIDDEN = set('<>:"\\|?*') | {chr(number) for number in range(32)}
FREE_BIT = 1 << 30
ours = threading.local()  # `.free`: this thread looks at the real system
real = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})


def remove(names: dict) -> None:
    for module, words in names.items():
        for name in words.split():
            module.__dict__.pop(name, None)


def no_proc() -> None:
    """Nothing is below /proc."""

    def guarded(function):
        def call(path, *args, **options):
            if not getattr(ours, "free", False) and not isinstance(path, int) and text(path).startswith("/proc"):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            return function(path, *args, **options)

        return call

    for name in ("open", "stat", "lstat", "readlink", "listdir", "scandir"):
        setattr(os, name, replaced(getattr(os, name), guarded(getattr(os, name))))
    builtins.open = io.open = guarded(io.open)


def replaced(old, new):
    """`new` stands for `old` in the sets that tell what functions can do."""
    for group in (os.supports_dir_fd, os.supports_follow_symlinks, os.supports_fd, os.supports_effective_ids):
        if old in group:
            group.add(new)
    return new


def text(path) -> str:
    return os.fsdecode(path)


def refuse_names(refusal) -> None:
    """Whatever makes a file fails for a name that the system does not hold."""

    def audit(event, args):
        made = None
        if event == "open" and not isinstance(args[0], int) and args[2] & os.O_CREAT:
            made = args[0]
        elif event in ("os.mkdir", "os.rename", "os.symlink", "os.link"):
            made = args[0] if event == "os.mkdir" else args[1]
        if made is not None and (number := refusal(os.path.basename(text(made)))):
            raise OSError(number, os.strerror(number), made)

    sys.addaudithook(audit)


def no_such_bytes(name: str) -> int:
    """APFS."""
    return 0 if name.isascii() or all(not "\udc80" <= c <= "\udcff" for c in name) else errno.EILSEQ


def fold_case() -> None:
    """Looking for a name finds one that differs in case."""
    plain = os.lstat

    def lstat(path, **options):
        try:
            return plain(path, **options)
        except FileNotFoundError:
            parent, name = os.path.split(text(path))
            for other in real.listdir(parent or "."):
                if other.casefold() == name.casefold():
                    return plain(os.path.join(parent, other))
            raise

    os.lstat = replaced(plain, lstat)


def nothing_by_descriptor() -> None:
    """No dir_fd, no directories by descriptor, links followed only."""
    os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks = set(), {os.stat}, {os.stat}
    names = "open mkdir unlink remove rmdir rename replace stat lstat link symlink readlink utime chmod access"

    def guarded(name, function):
        def call(*args, **options):
            if any(options.get(option) is not None for option in DIR_FD):
                raise NotImplementedError(f"{name}: dir_fd unavailable on this platform")
            if name in ("chmod", "utime") and not options.get("follow_symlinks", True):
                raise NotImplementedError(f"{name}: follow_symlinks unavailable on this platform")
            return function(*args, **options)

        return call

    for name in names.split():
        function = getattr(os, name)
        setattr(os, name, guarded(name, function))
        if name == "stat":
            os.supports_fd, os.supports_follow_symlinks = {os.stat}, {os.stat}
    for name in ("listdir", "scandir"):
        function = getattr(os, name)

        def by_name(path=".", function=function):
            if isinstance(path, int):
                raise TypeError("path should be string, bytes, os.PathLike or None, not int")
            return function(path)

        setattr(os, name, by_name)


def binary_or_text() -> None:
    """A file that is not opened as a binary one is taken for text: here, that is an error. Directories cannot be."""
    plain = os.open
    os.O_BINARY = FREE_BIT

    def opened(path, flags, mode=0o777, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        assert flags & FREE_BIT, f"{path} was opened as text"
        return plain(path, flags & ~FREE_BIT, mode, **options)

    os.open = opened


def in_use(path) -> bool:
    """Whether this process has `path` open, or, if it is a directory, any process something in it."""
    wanted = real.path.realpath(text(path))
    for process in real.listdir("/proc") if real.path.isdir(wanted) else [str(os.getpid())]:
        if process.isdigit():
            try:
                numbers = real.listdir(f"/proc/{process}/fd")
            except OSError:
                continue
            for number in numbers:
                try:
                    name = real.readlink(f"/proc/{process}/fd/{number}")
                except OSError:
                    continue
                if name == wanted or name.startswith(wanted + "/"):
                    return True
    return False


def what_is_open_stays() -> None:
    """Nothing that is open is removed, moved or replaced; nothing that is read-only is replaced."""

    def refused(path):
        ours.free = True
        try:
            busy = in_use(path)
        finally:
            ours.free = False
        if busy:
            raise PermissionError(errno.EACCES, "in use by another process", path)

    def guarded(function):
        def call(*paths):
            for path in paths:
                refused(path)
            if len(paths) == 2 and os.path.isfile(paths[1]) and not real.stat(paths[1]).st_mode & 0o200:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), paths[1])
            return function(*paths)

        return call

    for name in ("unlink", "remove", "rename", "replace"):
        setattr(os, name, guarded(getattr(os, name)))


def pairs_by_loopback() -> None:
    def socketpair(family=socket.AF_INET, type=socket.SOCK_STREAM, proto=0):  # noqa: A002
        with socket.socket(family, type, proto) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            one = socket.create_connection(listener.getsockname())
            return one, listener.accept()[0]

    socket.socketpair = socketpair


def nothing_before_1970() -> None:
    plain = time.localtime

    def localtime(seconds=None):
        if seconds is not None and seconds < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return plain(seconds)

    time.localtime = localtime


def become_macos() -> None:
    sys.platform = "darwin"
    remove(LINUX_ONLY)
    no_proc()
    fold_case()
    refuse_names(no_such_bytes)


def locks_of_bytes() -> None:
    """Its locks: of a part of a file, for one process, and not to wait for unless that is asked for."""
    import fcntl

    lockf, kinds = fcntl.lockf, {1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB, 0: fcntl.LOCK_UN}

    def locking(descriptor, mode, count):
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            lockf(descriptor, kinds[mode], count, start)
        except OSError as error:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error

    found = types.ModuleType("msvcrt")
    found.LK_UNLCK, found.LK_LOCK, found.LK_NBLCK, found.locking = 0, 1, 2, locking
    sys.modules["msvcrt"] = found


def become_windows() -> None:
    sys.platform = "win32"
    locks_of_bytes()
    remove(LINUX_ONLY)
    remove(POSIX_ONLY)
    sys.modules.update(dict.fromkeys(POSIX_MODULES))
    no_proc()
    fold_case()
    nothing_by_descriptor()
    binary_or_text()
    what_is_open_stays()
    pairs_by_loopback()
    nothing_before_1970()
    refuse_names(lambda name: errno.EINVAL if FORBIDDEN & set(name) or name.endswith((".", " ")) else 0)


def set_clock(moment: str) -> None:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromisoformat(moment).astimezone(tz)

    dt.datetime = Clock


SYSTEMS = {"linux": lambda: None, "macos": become_macos, "windows": become_windows}


def main(system: str, moment: str, words: list[str]) -> int:
    early = [name for name in sys.modules if name.startswith("swrepo")]
    assert not early, f"imported before the system was changed: {early}"
    if words[0] == "-c":
        import fsspec  # noqa: F401 - with all of asyncio, which is another one on each system
    for name in ("selectors", "shutil", "tempfile", "pathlib"):  # they ask the system at their import
        sys.modules.pop(name, None)
    platform.uname()  # remembered: Windows is asked by a program that is not here
    SYSTEMS[system]()
    set_clock(moment)
    if words[0] == "-c":
        exec(words[1], {"ARGUMENTS": words[2:]})
        return 0
    from swrepo.cli.main import main as swrepo

    return swrepo(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
