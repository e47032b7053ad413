"""From what was asked for and configured to what is needed to open one repository: servers, keys, cache, options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from swrepo.cache.plan import CachePlan, DirectoryPlan
from swrepo.client.caches import cache_plan
from swrepo.client.places import Places
from swrepo.client.target import Target
from swrepo.config.caches import PosixCache
from swrepo.config.files import Setting, load
from swrepo.config.parameters import ClientParameters, complete_name, interpret, warnings
from swrepo.errors import ConfigError, UsageError

BLACKLIST = "blacklist"
SHARED_CACHE = "shared"


@dataclass(frozen=True, slots=True)
class Given:
    """What the user says over all configuration files: `settings` by parameter; no keys and None for what they say."""

    keys: tuple[Path, ...] = ()
    cache: Path | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """One repository, ready to be opened. `fqrn` is None where the directory that holds it has another name.

    `remarks` are sentences on parameters that have no effect.
    """

    fqrn: str | None
    urls: tuple[str, ...]
    keys: tuple[Path, ...]
    cache: Path
    caches: CachePlan
    blacklists: tuple[Path, ...]
    parameters: ClientParameters
    remarks: tuple[str, ...] = ()

    @property
    def variables(self) -> Mapping[str, str]:
        """What variant symlinks see of the configuration."""
        return self.parameters.variables or {}


def select(target: Target, given: Given, places: Places) -> Selection:
    """Put together what `target` needs. Raises UsageError or ConfigError where something is missing."""
    target = _with_default_domain(target, places, given.settings)
    settings = load(places.configurations, target.fqrn, given.settings)
    parameters = interpret(settings)
    if target.url is None:
        _permit(target, parameters)
    return Selection(
        fqrn=target.fqrn,
        urls=(target.url,) if target.url else parameters.server_urls,
        keys=given.keys or trusted_keys(target.name, parameters, places),
        cache=given.cache or _cache(target, parameters, places),
        caches=_caches(target, given.cache, parameters, places),
        blacklists=tuple(
            path for path in (directory / BLACKLIST for directory in places.configurations) if path.exists()
        ),
        parameters=parameters,
        remarks=tuple(warnings(settings)),
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


def _with_default_domain(target: Target, places: Places, given: Mapping[str, Setting]) -> Target:
    if target.url is not None or target.fqrn is None or "." in target.fqrn:
        return target
    domain = interpret(load(places.configurations, None, given)).default_domain
    return replace(target, fqrn=complete_name(target.fqrn, domain))


def _permit(target: Target, parameters: ClientParameters) -> None:
    if parameters.strict_mount and target.fqrn not in parameters.repositories:
        raise ConfigError(f"{target.name} is not in CVMFS_REPOSITORIES, and CVMFS_STRICT_MOUNT allows nothing else")
    if not parameters.server_urls:
        raise UsageError(
            f"no server is known for {target.name}: give its URL, run 'PointToCVMFS HOST', or set CVMFS_SERVER_URL"
        )


def _cache(target: Target, parameters: ClientParameters, places: Places) -> Path:
    base = Path(parameters.cache_base) if parameters.cache_base else places.cache_base
    return base / (SHARED_CACHE if parameters.shared_cache or target.fqrn is None else target.fqrn)


def _caches(target: Target, given: Path | None, parameters: ClientParameters, places: Places) -> CachePlan:
    """A directory that was given stands for all that is configured."""
    if given is not None:
        return DirectoryPlan(given, quota=parameters.quota_limit)

    def locate(cache: PosixCache) -> Path:
        base = Path(cache.base) if cache.base else places.cache_base
        return base / (SHARED_CACHE if cache.shared or target.fqrn is None else target.fqrn)

    return cache_plan(parameters.cache, locate)
