"""From what was asked for and configured to what is needed to open one repository: servers, keys, cache, options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from swrepo.cache.plan import CachePlan, DirectoryPlan
from swrepo.client.caches import cache_plan
from swrepo.client.places import Places
from swrepo.client.target import Target
from swrepo.config.caches import PosixCache
from swrepo.config.files import Setting, World, load
from swrepo.config.parameters import ClientParameters, complete_name, interpret, warnings
from swrepo.errors import ConfigError, UsageError

BLACKLIST = "blacklist"
SHARED_CACHE = "shared"


class Sources(Protocol):
    """Where configuration comes from besides the files of this machine; see client.config_repository."""

    world: World

    def place(self, path: str, mount_directory: str) -> Path:
        """A path of the configuration as a file here."""
        ...

    def files(self, name: str) -> list[Path]:
        """The files of a name in the configuration repositories that were read."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says over all configuration files: `settings` by parameter; no keys and None for what they say."""

    keys: tuple[Path, ...] = ()
    cache: Path | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """One repository, ready to be opened. `fqrn` is None where the directory that holds it has another name.

    `remarks` are sentences on parameters that have no effect. `origins`: where each parameter was set.
    """

    fqrn: str | None
    urls: tuple[str, ...]
    keys: tuple[Path, ...]
    cache: Path
    caches: CachePlan
    blacklists: tuple[Path, ...]
    parameters: ClientParameters
    remarks: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> Mapping[str, str]:
        """What variant symlinks see of the configuration."""
        return self.parameters.variables or {}


def select(target: Target, given: Given, places: Places, sources: Sources | None = None) -> Selection:
    """Put together what `target` needs. Raises UsageError or ConfigError where something is missing.

    Without `sources` no configuration repository is read.
    """
    target = _with_default_domain(target, places, given.settings)
    world = World(places.environment) if sources is None else sources.world
    settings = load(places.configurations, target.fqrn, given.settings, world)
    parameters = _located(interpret(settings), sources)
    if target.url is None:
        _permit(target, parameters)
    return Selection(
        fqrn=target.fqrn,
        urls=(target.url,) if target.url else parameters.server_urls,
        keys=given.keys or trusted_keys(target.name, parameters, places),
        cache=given.cache or _cache(target, parameters, places),
        caches=_caches(target, given.cache, parameters, places),
        blacklists=_blacklists(parameters, places, sources),
        parameters=parameters,
        remarks=tuple(warnings(settings)),
        origins={name: setting.origin for name, setting in settings.items()},
    )


def trusted_keys(name: str, parameters: ClientParameters, places: Places) -> tuple[Path, ...]:
    """The master keys that the configuration trusts. ConfigError where there is none."""
    if parameters.keys_dir:
        directories: tuple[Path, ...] = (Path(parameters.keys_dir),)
    elif parameters.public_keys:
        return tuple(Path(key) for key in parameters.public_keys)
    else:
        directories = places.keys
    keys = tuple(key for directory in directories for key in sorted(directory.glob("*.pub")))
    if not keys:
        where = " or ".join(map(str, directories))
        raise ConfigError(f"no master key to trust for {name}: there is no *.pub in {where}; give one with --key FILE")
    return keys


def _located(parameters: ClientParameters, sources: Sources | None) -> ClientParameters:
    """Files of the configuration repository are where its copy is."""
    if sources is None:
        return parameters

    def place(path: str) -> str:
        return str(sources.place(path, parameters.mount_directory))

    return replace(
        parameters,
        keys_dir=place(parameters.keys_dir) if parameters.keys_dir else None,
        public_keys=tuple(place(key) for key in parameters.public_keys),
        blacklist=place(parameters.blacklist) if parameters.blacklist else None,
    )


def _blacklists(parameters: ClientParameters, places: Places, sources: Sources | None) -> tuple[Path, ...]:
    """Those that are there; one that the configuration names has to be."""
    usual = [directory / BLACKLIST for directory in places.configurations]
    own = [Path(parameters.blacklist)] if parameters.blacklist else [path for path in usual if path.exists()]
    return (*own, *(sources.files(BLACKLIST) if sources is not None else ()))


def _with_default_domain(target: Target, places: Places, given: Mapping[str, Setting]) -> Target:
    if target.url is not None or target.fqrn is None or "." in target.fqrn:
        return target
    domain = interpret(load(places.configurations, None, given, World(places.environment))).default_domain
    return replace(target, fqrn=complete_name(target.fqrn, domain))


def _permit(target: Target, parameters: ClientParameters) -> None:
    if parameters.strict_mount and target.fqrn not in parameters.repositories:
        raise ConfigError(f"{target.name} is not in CVMFS_REPOSITORIES, and CVMFS_STRICT_MOUNT allows nothing else")
    if not parameters.server_urls:
        raise UsageError(
            f"no server is known for {target.name}: give its URL, run 'PointToCVMFS HOST', or set CVMFS_SERVER_URL"
        )


def _cache(target: Target, parameters: ClientParameters, places: Places) -> Path:
    if parameters.cache_directory:
        return Path(parameters.cache_directory)
    base = Path(parameters.cache_base) if parameters.cache_base else places.cache_base
    return base / (SHARED_CACHE if parameters.shared_cache or target.fqrn is None else target.fqrn)


def _caches(target: Target, given: Path | None, parameters: ClientParameters, places: Places) -> CachePlan:
    """A directory that was given stands for all that is configured."""
    if given is None and parameters.cache_directory:
        given = Path(parameters.cache_directory)
    if given is not None:
        return DirectoryPlan(given, quota=parameters.quota_limit)

    def locate(cache: PosixCache) -> Path:
        base = Path(cache.base) if cache.base else places.cache_base
        return base / (SHARED_CACHE if cache.shared or target.fqrn is None else target.fqrn)

    return cache_plan(parameters.cache, locate)
