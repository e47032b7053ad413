"""Which configuration files there are, in which order they are read, and what they say together.

    default.conf  default.d/*.conf  default.local          for every repository
    domain.d/DOMAIN.conf  domain.d/DOMAIN.local            for those whose name ends in .DOMAIN
    config.d/FQRN.conf  config.d/FQRN.local                for one repository

A later file wins over an earlier one. `@fqrn@` and `@org@` in values stand for the repository's name and its first
component. Source: format.md 18 (options.cc of CernVM-FS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swrepo.config.assignments import Assignment, parse
from swrepo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and the place that set it, `FILE:LINE` or a word such as `-o`."""

    value: str
    origin: str


def files_for(directories: Sequence[Path], fqrn: str | None) -> tuple[Path, ...]:
    """The files that may speak about `fqrn` (None: about no repository in particular), in the order of reading.

    With several directories (a machine's, then a user's) each step of the cascade goes through all of them.
    """
    found = [path for directory in directories for path in _defaults(directory)]
    if fqrn is not None:
        domain = fqrn.partition(".")[2]
        steps = [*(["domain.d/" + domain] if domain else []), "config.d/" + fqrn]
        for step in steps:
            for directory in directories:
                found += [directory / f"{step}.conf", directory / f"{step}.local"]
    return tuple(found)


def load(
    directories: Sequence[Path], fqrn: str | None, overrides: Mapping[str, Setting] | None = None
) -> dict[str, Setting]:
    """What the files below `directories` and then `overrides` set for `fqrn`.

    A file that does not exist is skipped. Raises ConfigError for one that cannot be read or understood.
    """
    settings: dict[str, Setting] = {}
    for path in files_for(directories, fqrn):
        for assignment in read(path, {name: setting.value for name, setting in settings.items()}):
            settings[assignment.name] = Setting(assignment.value, f"{path}:{assignment.line}")
    settings.update(overrides or {})
    if fqrn is None:
        return settings
    return {name: Setting(_fill_in(setting.value, fqrn), setting.origin) for name, setting in settings.items()}


def read(path: Path, known: Mapping[str, str] | None = None) -> tuple[Assignment, ...]:
    """The assignments of one file; none where it does not exist."""
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from error
    return parse(text, str(path), known)


def _defaults(directory: Path) -> list[Path]:
    dropped_in = sorted((directory / "default.d").glob("*.conf"))
    return [directory / "default.conf", *dropped_in, directory / "default.local"]


def _fill_in(value: str, fqrn: str) -> str:
    return value.replace("@fqrn@", fqrn).replace("@org@", fqrn.partition(".")[0])
