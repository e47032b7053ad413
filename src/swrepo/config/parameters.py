"""What the settings for one repository mean to the client: typed, checked, with defaults.

The table (config.table) says what each parameter means; those without effect are named by `warnings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from swrepo.config.caches import DEFAULT_QUOTA_LIMIT, CacheInstance, PosixCache, cache_instance
from swrepo.config.files import Setting
from swrepo.config.network import NetworkParameters, network_parameters
from swrepo.config.parameter import Standing
from swrepo.config.table.client import TABLE, find, nearest
from swrepo.config.values import Values
from swrepo.config.watching import LOG_FORMATS, WatchingParameters, watching_parameters, word
from swrepo.errors import ConfigError

_SYSLOG_LEVELS = {1: "debug", 2: "info", 3: "notice"}


@dataclass(frozen=True, slots=True)
class OwnershipParameters:
    """Whose everything is shown to be. The maps are files; `user` owns what is claimed (None: who mounts)."""

    claim: bool = False
    user: str | None = None
    uid_map: str | None = None
    gid_map: str | None = None
    world_readable: bool = False


@dataclass(frozen=True, slots=True)
class LogParameters:
    """Where the log goes. `level` of ordinary messages is debug, info or notice; `facility` 0 to 7 is local0..7."""

    file: str | None = None
    debug_file: str | None = None
    level: str = "info"
    facility: int | None = None
    prefix: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class ClientParameters:
    """The values for one repository, checked. Times are in seconds, `quota_limit` in bytes (None: no limit).

    `variables` is what variant symlinks see: every setting of the configuration, whatever its name. `validity`: how
    long the kernel may keep what it is told (None: the client's choice).
    """

    network: NetworkParameters = field(default_factory=NetworkParameters)
    ownership: OwnershipParameters = field(default_factory=OwnershipParameters)
    log: LogParameters = field(default_factory=LogParameters)
    watching: WatchingParameters = field(default_factory=WatchingParameters)
    keys_dir: str | None = None
    public_keys: tuple[str, ...] = ()
    blacklist: str | None = None
    config_repository: str | None = None
    config_repository_required: bool = False
    mount_directory: str = "/cvmfs"
    cache_base: str | None = None
    cache_directory: str | None = None
    shared_cache: bool = True
    quota_limit: int | None = DEFAULT_QUOTA_LIMIT
    cache: CacheInstance = field(default_factory=PosixCache)
    max_ttl: int | None = None
    auto_update: bool = True
    validity: int | None = None
    repository_tag: str | None = None
    repository_date: datetime | None = None
    root_hash: str | None = None
    suid: bool = False
    prefetch: bool = True
    guesses: bool = True
    fill: tuple[str, ...] = ()
    talk_socket: str | None = None
    talk_owner: str | None = None
    workspace: str | None = None
    repositories: tuple[str, ...] = ()
    default_domain: str = ""
    strict_mount: bool = False
    profiles: bool = True
    profiles_directory: str | None = None
    bundles: bool = True
    variables: Mapping[str, str] | None = None

    @property
    def server_urls(self) -> tuple[str, ...]:
        return self.network.server_urls


def interpret(settings: Mapping[str, Setting]) -> ClientParameters:
    """Check and type what the files say. Raises ConfigError, which names the parameter, its place and what fits."""
    values = Values(settings)
    _refuse_the_impossible(settings)
    ttl = values.number("CVMFS_MAX_TTL", 0)
    return ClientParameters(
        network=network_parameters(values),
        ownership=OwnershipParameters(
            claim=values.switch("CVMFS_CLAIM_OWNERSHIP", default=False),
            user=values.text("CVMFS_USER"),
            uid_map=values.text("CVMFS_UID_MAP"),
            gid_map=values.text("CVMFS_GID_MAP"),
            world_readable=values.switch("CVMFS_WORLD_READABLE", default=False),
        ),
        log=_log(values),
        watching=watching_parameters(values),
        keys_dir=values.text("CVMFS_KEYS_DIR"),
        public_keys=tuple(values.items("CVMFS_PUBLIC_KEY", ":")),
        blacklist=values.text("CVMFS_BLACKLIST"),
        config_repository=values.text("CVMFS_CONFIG_REPOSITORY"),
        config_repository_required=values.switch("CVMFS_CONFIG_REPO_REQUIRED", default=False),
        mount_directory=values.text("CVMFS_MOUNT_DIR") or "/cvmfs",
        cache_base=values.text("CVMFS_CACHE_BASE"),
        cache_directory=values.text("CVMFS_CACHE_DIR"),
        shared_cache=values.switch("CVMFS_SHARED_CACHE", default=True),
        quota_limit=_quota_limit(values),
        cache=cache_instance(settings),
        max_ttl=ttl * 60 or None,
        auto_update=values.switch("CVMFS_AUTO_UPDATE", default=True),
        validity=_validity(values),
        repository_tag=values.text("CVMFS_REPOSITORY_TAG"),
        repository_date=values.time("CVMFS_REPOSITORY_DATE"),
        root_hash=values.text("CVMFS_ROOT_HASH"),
        suid=values.switch("CVMFS_SUID", default=False),
        prefetch=values.switch("CVMFS_PREFETCH", default=True),
        guesses=values.switch("CVMFS_PREFETCH_GUESSES", default=True),
        fill=tuple(values.items("CVMFS_PREFETCH_BELOW", ":")),
        talk_socket=values.text("CVMFS_TALK_SOCKET"),
        talk_owner=values.text("CVMFS_TALK_OWNER"),
        workspace=values.text("CVMFS_WORKSPACE"),
        repositories=tuple(values.items("CVMFS_REPOSITORIES", ", ")),
        default_domain=values.text("CVMFS_DEFAULT_DOMAIN") or "",
        profiles=values.switch("CVMFS_PROFILES", default=True),
        profiles_directory=values.text("CVMFS_PROFILES_DIR"),
        bundles=values.switch("CVMFS_PREFETCH_FILEBUNDLES", default=True),
        strict_mount=values.switch("CVMFS_STRICT_MOUNT", default=False),
        variables={name: setting.value for name, setting in settings.items()},
    )


def warnings(settings: Mapping[str, Setting]) -> list[str]:
    """One sentence for each CVMFS_ parameter that does not do what whoever set it expects."""
    found = []
    for name, setting in settings.items():
        if find(name) is None and name.startswith("CVMFS_"):
            near = nearest(name)
            hint = f"; did you mean {near}?" if near else " (variant symlinks see it)"
            found.append(f"{setting.origin}: there is no parameter {name}{hint}")
    return found


def complete_name(name: str, default_domain: str) -> str:
    """The full name of a repository: with the default domain where `name` has none."""
    return f"{name}.{default_domain}" if default_domain and "." not in name else name


def _refuse_the_impossible(settings: Mapping[str, Setting]) -> None:
    for row in TABLE:
        setting = settings.get(row.name)
        if row.standing is Standing.REFUSED and setting is not None and not row.asks_for_nothing(setting.value):
            raise ConfigError(f"{setting.origin}: {row.name}={setting.value} is refused: {row.reason}")


def _log(values: Values) -> LogParameters:
    facility = values.text("CVMFS_SYSLOG_FACILITY")
    return LogParameters(
        file=values.text("CVMFS_USYSLOG"),
        debug_file=values.text("CVMFS_DEBUGLOG"),
        level=_SYSLOG_LEVELS[values.number("CVMFS_SYSLOG_LEVEL", 2, least=1, most=3)],
        facility=None if facility is None else values.number("CVMFS_SYSLOG_FACILITY", 0, most=7),
        prefix=values.text("CVMFS_SYSLOG_PREFIX"),
        json=word(values, "CVMFS_LOG_FORMAT", LOG_FORMATS) == "json",
    )


def _validity(values: Values) -> int | None:
    if values.text("CVMFS_KCACHE_TIMEOUT") is None:
        return None
    return max(0, values.number("CVMFS_KCACHE_TIMEOUT", 0, least=-1))


def _quota_limit(values: Values) -> int | None:
    limit = values.number("CVMFS_QUOTA_LIMIT", DEFAULT_QUOTA_LIMIT >> 20, least=-1)
    if limit == 0:
        raise values.refuse("CVMFS_QUOTA_LIMIT", "a whole number of megabytes from 1 up, or -1 for no limit")
    return None if limit < 0 else limit << 20
