"""Which configuration files there are, in which order they are read, and what they say together.

    default.conf  default.d/*.conf  [default.conf]  default.local     for every repository
    [domain.d/DOMAIN.conf]  domain.d/DOMAIN.conf  .local              for those whose name ends in .DOMAIN
    [config.d/FQRN.conf]  config.d/FQRN.conf  .local                  for one repository

Those in brackets are in the configuration repository, if the files before name one. A later file wins over an earlier
one. `@fqrn@` and `@org@` in values stand for the repository's name and its first component. Source: format.md 18
(options.cc of CernVM-FS).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from swrepo.config.assignments import Assignment, Surroundings, parse
from swrepo.errors import ConfigError, SwrepoError

if TYPE_CHECKING:
    import logging

CONFIG_REPOSITORY = "CVMFS_CONFIG_REPOSITORY"
REQUIRED = "CVMFS_CONFIG_REPO_REQUIRED"
_MOUNT_DIRECTORY = "CVMFS_MOUNT_DIR"
_ON = frozenset({"yes", "on", "1", "true"})
_TESTS: dict[str, Callable[[str], bool]] = {
    "d": os.path.isdir,
    "e": os.path.exists,
    "f": os.path.isfile,
    "h": os.path.islink,
    "L": os.path.islink,
    "r": lambda path: os.access(path, os.R_OK),
    "w": lambda path: os.access(path, os.W_OK),
    "x": lambda path: os.access(path, os.X_OK),
    "s": lambda path: os.path.exists(path) and os.path.getsize(path) > 0,
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and the place that set it, `FILE:LINE` or a word such as `-o`."""

    value: str
    origin: str


class RemoteFiles(Protocol):
    """The files below `etc/cvmfs` of a configuration repository."""

    def read(self, name: str) -> str | None:
        """The text of a file; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What reading depends on besides the files: the environment, which `$NAME` sees, and the way to a repository.

    `open_repository` gets a configuration repository's name and raises SwrepoError where it cannot be read.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    open_repository: Callable[[str], RemoteFiles] | None = None


NOWHERE = World()


def files_for(directories: Sequence[Path], fqrn: str | None) -> tuple[Path, ...]:
    """The files on this machine that may speak about `fqrn` (None: about no repository in particular), in their order.

    With several directories (a machine's, then a user's) each step of the cascade goes through all of them.
    """
    return tuple(path for step in _steps(directories, fqrn) for path in step.places if isinstance(path, Path))


def load(
    directories: Sequence[Path],
    fqrn: str | None,
    overrides: Mapping[str, Setting] | None = None,
    world: World = NOWHERE,
) -> dict[str, Setting]:
    """What the files below `directories` and then `overrides` set for `fqrn`.

    A file that does not exist is skipped. Raises ConfigError for one that cannot be read or understood.
    """
    return {name: settings[-1] for name, settings in load_all(directories, fqrn, overrides, world).items()}


def load_all(
    directories: Sequence[Path],
    fqrn: str | None,
    overrides: Mapping[str, Setting] | None = None,
    world: World = NOWHERE,
) -> dict[str, list[Setting]]:
    """The same with all that was set and overridden, the winner last."""
    cascade = _Cascade(fqrn, world)
    for step in _steps(directories, fqrn):
        cascade.read(step)
    for name, setting in (overrides or {}).items():
        cascade.note(name, setting)
    cascade.finish()
    return cascade.found


def read(
    path: Path, known: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Assignment, ...]:
    """The assignments of one file; none where it does not exist."""
    text = _text(path)
    if text is None:
        return ()
    return parse(text, str(path), {**(environment or {}), **(known or {})}, _around(path.parent))


class _Cascade:
    """What has been read so far."""

    def __init__(self, fqrn: str | None, world: World) -> None:
        self.found: dict[str, list[Setting]] = {}
        self._fqrn = fqrn
        self._world = world
        self._names_repository = True
        self._remote: RemoteFiles | None = None
        self._failure: SwrepoError | None = None
        self._read_already: set[str] = set()

    def read(self, step: _Step) -> None:
        """Read files of this machine, and (by their names below etc/cvmfs) of the configuration repository."""
        self._names_repository = step.names_repository and not self._value(CONFIG_REPOSITORY)
        for place in step.places:
            if isinstance(place, Path):
                assignments = read(place, self._known(), self._world.environment)
            else:
                assignments = self._read_remote(place)
            for assignment in assignments:
                self.note(assignment.name, Setting(assignment.value, f"{assignment.origin}:{assignment.line}"))

    def note(self, name: str, setting: Setting) -> None:
        """Take a setting over those before."""
        if self._fqrn is not None:
            setting = Setting(_fill_in(setting.value, self._fqrn), setting.origin)
        is_other = name == CONFIG_REPOSITORY and setting.value.strip() != self._value(name)
        if is_other and not self._names_repository:
            _log().warning("%s: %s can be set in default.conf and default.d only; left as it is", setting.origin, name)
            return
        self.found.setdefault(name, []).append(setting)

    def finish(self) -> None:
        """ConfigError where the configuration repository is required and could not be read."""
        if self._failure is not None and self._value(REQUIRED).lower() in _ON:
            repository = self._value(CONFIG_REPOSITORY)
            raise ConfigError(f"the configuration repository {repository} is required: {self._failure}")

    def _known(self) -> dict[str, str]:
        known = {name: settings[-1].value for name, settings in self.found.items()}
        return known if self._fqrn is None else {"CVMFS_FQRN": self._fqrn, **known}

    def _value(self, name: str) -> str:
        return self.found[name][-1].value.strip() if name in self.found else ""

    def _read_remote(self, name: str) -> tuple[Assignment, ...]:
        repository = self._value(CONFIG_REPOSITORY)
        wanted = repository and repository != self._fqrn and name not in self._read_already
        if not wanted or self._world.open_repository is None:
            return ()
        self._read_already.add(name)
        root = f"{self._value(_MOUNT_DIRECTORY) or '/cvmfs'}/{repository}/etc/cvmfs"
        try:
            if self._remote is None and self._failure is None:
                self._remote = self._world.open_repository(repository)
            text = self._remote.read(name) if self._remote is not None else None
        except SwrepoError as error:
            self._failure = error
            _log().warning("the configuration repository %s is left out: %s", repository, error)
            return ()
        if text is None:
            return ()
        return parse(text, f"{root}/{name}", {**self._world.environment, **self._known()}, self._around_remote(name))

    def _around_remote(self, name: str) -> Surroundings:
        """A file of the configuration repository may read others of it, by names that are relative to its own."""
        remote, directory = self._remote, os.path.dirname(name)

        def source(path: str) -> tuple[str, str] | None:
            if path.startswith("/"):
                return _around(Path("/")).source(path)
            inside = os.path.normpath(os.path.join(directory, path))
            text = remote.read(inside) if remote is not None and not inside.startswith("..") else None
            return None if text is None else (inside, text)

        def file_test(letter: str, path: str) -> bool:
            if path.startswith("/"):
                return _around(Path("/")).file_test(letter, path)
            return letter in "efrs" and source(path) is not None

        return Surroundings(file_test, source)


class _Step(NamedTuple):
    """Files in the order of reading; names without a directory are in the configuration repository, read once."""

    places: Sequence[Path | str]
    names_repository: bool = False
    """Whether these files may say which one it is."""


def _steps(directories: Sequence[Path], fqrn: str | None) -> Iterator[_Step]:
    for directory in directories:
        yield _Step(
            [directory / "default.conf", *sorted((directory / "default.d").glob("*.conf"))], names_repository=True
        )
        yield _Step([*([] if fqrn is None else ["default.conf"]), directory / "default.local"])
    if fqrn is None:
        return
    domain = fqrn.partition(".")[2]
    for name in [*(["domain.d/" + domain] if domain else []), "config.d/" + fqrn]:
        own = [directory / f"{name}{suffix}" for directory in directories for suffix in (".conf", ".local")]
        yield _Step([f"{name}.conf", *own])


def _around(directory: Path) -> Surroundings:
    """Files of this machine, by names that are relative to `directory`."""

    def source(path: str) -> tuple[str, str] | None:
        place = directory / path
        text = _text(place)
        return None if text is None else (str(place), text)

    return Surroundings(lambda letter, path: _TESTS[letter](str(directory / path)), source)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror}") from error


def _fill_in(value: str, fqrn: str) -> str:
    return value.replace("@fqrn@", fqrn).replace("@org@", fqrn.partition(".")[0])


def _log() -> logging.Logger:
    import logging  # here: it takes longer to load than most configurations to read, which need it rarely

    return logging.getLogger(__name__)
