"""Where a mount in the background writes its log: syslog, a file, and a second file with all that there is to say."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from swrepo.errors import MountFailed, UsageError

_SYSLOG = "/dev/log"
_FORMAT = "%(name)s[%(process)d]: %(levelname)s: %(message)s"
_LOCAL0 = logging.handlers.SysLogHandler.LOG_LOCAL0


_RECENT_LINES = 16
_EVERYTHING = "everything"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class JsonLines(logging.Formatter):
    """One JSON object for each record, on one line, for programs that collect logs."""

    def __init__(self, prefix: str | None) -> None:
        super().__init__()
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if self._prefix:
            fields["prefix"] = self._prefix
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class Recent(logging.Handler):
    """Keeps the last lines, for who asks the mount instead of the log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=_RECENT_LINES)
        self.setFormatter(logging.Formatter("[%(asctime)s] %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    @property
    def text(self) -> str:
        """The lines, the newest last."""
        return "".join(f"{line}\n" for line in list(self._lines))


RECENT = Recent()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`file` in place of syslog. `notices`: the syslog level of ordinary messages; `facility`: 0 to 7 for local0..7.

    `prefix` begins each line. `debug_file` gets everything. `json`: each line is a JSON object.
    """

    file: Path | None = None
    debug_file: Path | None = None
    notices: str = "info"
    facility: int | None = None
    prefix: str | None = None
    json: bool = False


class _Syslog(logging.handlers.SysLogHandler):
    """Sends ordinary messages with a level of the administrator's choice."""

    def __init__(self, address: str, facility: int, notices: str) -> None:
        super().__init__(address, facility)
        self._notices = notices

    def mapPriority(self, levelName: str) -> str:  # noqa: N802, N803 - the base class's names
        return self._notices if levelName == "INFO" else super().mapPriority(levelName)


def write_logs(options: LogOptions, otherwise: Path) -> None:
    """Send what is logged there from now on. `otherwise`: the file where there is no syslog. MountFailed."""
    handler = _handler(options, otherwise)
    prefix = f"({options.prefix}) " if options.prefix else ""
    is_syslog = isinstance(handler, logging.handlers.SysLogHandler)
    handler.setFormatter(logging.Formatter(("" if is_syslog else "%(asctime)s ") + prefix + _FORMAT))
    handler.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [handler, RECENT]
    if options.debug_file is not None:
        everything = _file(options.debug_file)
        everything.set_name(_EVERYTHING)
        everything.setFormatter(logging.Formatter("%(asctime)s " + prefix + "%(threadName)s " + _FORMAT))
        handlers.append(everything)
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    for new in handlers:
        root.addHandler(new)
    root.setLevel(logging.INFO if options.debug_file is None else logging.DEBUG)
    if options.json:
        for new in (handler, *handlers[2:]):
            new.setFormatter(JsonLines(options.prefix))


def log_level(text: str) -> str:
    """What the log is to have from now on: `debug`, `info`, `warning` or `error` and all above; how it is.

    A file with all that there is to say goes on having all of it. UsageError.
    """
    root = logging.getLogger()
    usual = [handler for handler in root.handlers if handler is not RECENT and handler.get_name() != _EVERYTHING]
    if text:
        if text not in _LEVELS:
            raise UsageError(f"{text!r} is no level; there are {', '.join(_LEVELS)}")
        for handler in usual:
            handler.setLevel(_LEVELS[text])
        root.setLevel(min((handler.level for handler in root.handlers), default=logging.INFO))
    level = min((handler.level or root.level for handler in usual), default=root.level)
    return next((name for name, number in _LEVELS.items() if number == level), str(level))


def _handler(options: LogOptions, otherwise: Path) -> logging.Handler:
    if options.file is None and os.path.exists(_SYSLOG):
        facility = logging.handlers.SysLogHandler.LOG_USER if options.facility is None else _LOCAL0 + options.facility
        with suppress(OSError):
            return _Syslog(_SYSLOG, facility, options.notices)
    return _file(options.file or otherwise)


def _file(path: Path) -> logging.Handler:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise MountFailed(f"cannot write the log {path}: {error.strerror}") from error
