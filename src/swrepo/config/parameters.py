"""Every parameter that the client honours: one table, from which docs/configuration.md is written.

A parameter of CernVM-FS that is not honoured yet is named in a warning, a misspelt one with what it may have meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from swrepo.config.caches import DEFAULT_QUOTA_LIMIT, CacheInstance, PosixCache, cache_instance, is_of_an_instance
from swrepo.config.files import Setting
from swrepo.config.original import NAMES as ORIGINAL_NAMES
from swrepo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row. `default` is what holds when nothing sets it, in words where it is not a value."""

    name: str
    kind: str
    default: str
    meaning: str


TABLE = (
    Parameter(
        "CVMFS_SERVER_URL",
        "list of URLs",
        "none: must be set",
        "Servers of the repository, `;` between them, tried in this order; `@fqrn@` and `@org@` are filled in.",
    ),
    Parameter(
        "CVMFS_HTTP_PROXY",
        "proxy groups",
        "`DIRECT`",
        "Proxies: `|` between those that share the load, `;` between groups that stand in for one another; "
        "`DIRECT` for none.",
    ),
    Parameter(
        "CVMFS_KEYS_DIR",
        "directory",
        "`keys` beside the configuration files",
        "Every `*.pub` in it is a master key that is trusted. Wins over `CVMFS_PUBLIC_KEY`.",
    ),
    Parameter("CVMFS_PUBLIC_KEY", "list of files", "empty", "Files of trusted master keys, `:` between them."),
    Parameter(
        "CVMFS_CACHE_BASE",
        "directory",
        "`/var/lib/cvmfs`; `$XDG_CACHE_HOME/swrepo` for ordinary users",
        "Where caches lie.",
    ),
    Parameter(
        "CVMFS_SHARED_CACHE",
        "switch",
        "`yes`",
        "One cache (`shared`) for all repositories, or one named like the repository for each.",
    ),
    Parameter(
        "CVMFS_QUOTA_LIMIT",
        "megabytes",
        "`4000`",
        'How large the cache may get; `-1` for as large as the disk lets it. See "Cache" in [semantics](semantics.md).',
    ),
    Parameter(
        "CVMFS_ALIEN_CACHE",
        "directory",
        "empty",
        "A cache that other hosts use too, on a network file system: without a limit, nothing in it is ever removed. "
        'See "Caches" in [operations](operations.md).',
    ),
    Parameter(
        "CVMFS_CACHE_PRIMARY",
        "name of a cache",
        "empty: the one that the parameters above describe",
        "A cache of another kind, described by the parameters `CVMFS_CACHE_<NAME>_...`.",
    ),
    Parameter(
        "CVMFS_CACHE_<NAME>_TYPE",
        "`posix`, `ram`, `tiered`",
        "none: must be set",
        "What the cache of that name is: a directory, memory, or two other caches.",
    ),
    Parameter("CVMFS_CACHE_<NAME>_BASE", "directory", "`CVMFS_CACHE_BASE`", "posix: where its directory lies."),
    Parameter("CVMFS_CACHE_<NAME>_SHARED", "switch", "`no`", "posix: like `CVMFS_SHARED_CACHE`."),
    Parameter("CVMFS_CACHE_<NAME>_QUOTA_LIMIT", "megabytes", "`4000`", "posix: like `CVMFS_QUOTA_LIMIT`."),
    Parameter("CVMFS_CACHE_<NAME>_ALIEN", "directory", "empty", "posix: like `CVMFS_ALIEN_CACHE`."),
    Parameter("CVMFS_CACHE_<NAME>_SIZE", "megabytes", "none: must be set", "ram: how much memory it may take."),
    Parameter(
        "CVMFS_CACHE_<NAME>_UPPER", "name of a cache", "none: must be set", "tiered: the cache that is asked first."
    ),
    Parameter(
        "CVMFS_CACHE_<NAME>_LOWER", "name of a cache", "none: must be set", "tiered: the one that is asked next."
    ),
    Parameter(
        "CVMFS_CACHE_<NAME>_LOWER_READONLY",
        "switch",
        "`no`",
        "tiered: nothing is written to the lower cache; what both lack is kept in the upper one.",
    ),
    Parameter(
        "CVMFS_CACHE_<NAME>_COPY_UP",
        "switch",
        "`yes`",
        "tiered: what the lower cache has is copied to the upper one; `no`: it is read where it is.",
    ),
    Parameter("CVMFS_TIMEOUT", "seconds", "`5`", "How long a connection through a proxy may take to come about."),
    Parameter("CVMFS_TIMEOUT_DIRECT", "seconds", "`10`", "The same without a proxy."),
    Parameter("CVMFS_MAX_RETRIES", "number", "`1`", "How often a failed request is repeated on the same route."),
    Parameter(
        "CVMFS_MAX_TTL",
        "minutes",
        "`0`: as the repository says",
        "The longest time between two looks for a new revision.",
    ),
    Parameter(
        "CVMFS_REPOSITORY_TAG", "tag", "empty: the newest revision", "Show the revision with this tag, for good."
    ),
    Parameter(
        "CVMFS_ROOT_HASH",
        "object name",
        "empty: the newest revision",
        "Show the revision with this root catalog, for good. Wins over `CVMFS_REPOSITORY_TAG`.",
    ),
    Parameter("CVMFS_REPOSITORIES", "list of names", "empty", "The repositories of this machine, `,` between them."),
    Parameter(
        "CVMFS_DEFAULT_DOMAIN",
        "domain",
        "empty",
        "What is added to a repository's name that has no dot.",
    ),
    Parameter(
        "CVMFS_STRICT_MOUNT",
        "switch",
        "`no`",
        "Mount nothing but what `CVMFS_REPOSITORIES` lists.",
    ),
)

_BY_NAME = {parameter.name: parameter for parameter in TABLE}
_TRUE = frozenset({"yes", "on", "1", "true"})
_FALSE = frozenset({"no", "off", "0", "false", ""})


@dataclass(frozen=True, slots=True)
class ClientParameters:
    """The table's values for one repository, checked. Times are in seconds, `quota_limit` in bytes (None: no limit).

    `proxies` is what net.routes reads. `variables` is what variant symlinks see: every
    setting of the configuration, whatever its name.
    """

    server_urls: tuple[str, ...] = ()
    proxies: str = "DIRECT"
    keys_dir: str | None = None
    public_keys: tuple[str, ...] = ()
    cache_base: str | None = None
    shared_cache: bool = True
    quota_limit: int | None = DEFAULT_QUOTA_LIMIT
    cache: CacheInstance = field(default_factory=PosixCache)
    timeout: float = 5.0
    timeout_direct: float = 10.0
    max_retries: int = 1
    max_ttl: int | None = None
    repository_tag: str | None = None
    root_hash: str | None = None
    repositories: tuple[str, ...] = ()
    default_domain: str = ""
    strict_mount: bool = False
    variables: Mapping[str, str] | None = None


def interpret(settings: Mapping[str, Setting]) -> ClientParameters:
    """Check and type what the files say. Raises ConfigError, which names the parameter, its place and what fits."""
    ttl = _number(settings, "CVMFS_MAX_TTL", 0)
    return ClientParameters(
        server_urls=_urls(settings),
        proxies=_proxies(settings),
        keys_dir=_text(settings, "CVMFS_KEYS_DIR"),
        public_keys=tuple(_split(settings, "CVMFS_PUBLIC_KEY", ":")),
        cache_base=_text(settings, "CVMFS_CACHE_BASE"),
        shared_cache=_switch(settings, "CVMFS_SHARED_CACHE", default=True),
        quota_limit=_quota_limit(settings),
        cache=cache_instance(settings),
        timeout=float(_number(settings, "CVMFS_TIMEOUT", 5, least=1)),
        timeout_direct=float(_number(settings, "CVMFS_TIMEOUT_DIRECT", 10, least=1)),
        max_retries=_number(settings, "CVMFS_MAX_RETRIES", 1),
        max_ttl=ttl * 60 or None,
        repository_tag=_text(settings, "CVMFS_REPOSITORY_TAG"),
        root_hash=_text(settings, "CVMFS_ROOT_HASH"),
        repositories=tuple(_split(settings, "CVMFS_REPOSITORIES", ",")),
        default_domain=_text(settings, "CVMFS_DEFAULT_DOMAIN") or "",
        strict_mount=_switch(settings, "CVMFS_STRICT_MOUNT", default=False),
        variables={name: setting.value for name, setting in settings.items()},
    )


def warnings(settings: Mapping[str, Setting]) -> list[str]:
    """One sentence for each CVMFS_ parameter that has no effect."""
    found = []
    for name, setting in settings.items():
        if not name.startswith("CVMFS_") or name in _BY_NAME or is_of_an_instance(name):
            continue
        if name in ORIGINAL_NAMES:
            found.append(f"{setting.origin}: {name} is not honoured yet; it has no effect")
            continue
        near = difflib.get_close_matches(name, [*_BY_NAME, *ORIGINAL_NAMES], n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]}?" if near else ""
        found.append(f"{setting.origin}: there is no parameter {name}{hint}")
    return found


def complete_name(name: str, default_domain: str) -> str:
    """The full name of a repository: with the default domain where `name` has none."""
    return f"{name}.{default_domain}" if default_domain and "." not in name else name


def _refuse(settings: Mapping[str, Setting], name: str, expected: str) -> ConfigError:
    setting = settings[name]
    return ConfigError(f"{setting.origin}: {name}={setting.value!r} is not {expected}")


def _text(settings: Mapping[str, Setting], name: str) -> str | None:
    setting = settings.get(name)
    return setting.value.strip() or None if setting else None


def _split(settings: Mapping[str, Setting], name: str, separator: str) -> list[str]:
    pieces = (_text(settings, name) or "").split(separator)
    return [piece.strip() for piece in pieces if piece.strip()]


def _number(settings: Mapping[str, Setting], name: str, default: int, least: int = 0) -> int:
    text = _text(settings, name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or not least <= int(text) < 1 << 31:
        raise _refuse(settings, name, f"a whole number from {least} up")
    return int(text)


def _quota_limit(settings: Mapping[str, Setting]) -> int | None:
    text = _text(settings, "CVMFS_QUOTA_LIMIT")
    if text is None:
        return DEFAULT_QUOTA_LIMIT
    if text == "-1":
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1 << 31:
        raise _refuse(settings, "CVMFS_QUOTA_LIMIT", "a whole number of megabytes from 1 up, or -1 for no limit")
    return int(text) << 20


def _switch(settings: Mapping[str, Setting], name: str, *, default: bool) -> bool:
    if name not in settings:
        return default
    text = (_text(settings, name) or "").lower()
    if text not in _TRUE | _FALSE:
        raise _refuse(settings, name, "yes or no")
    return text in _TRUE


def _urls(settings: Mapping[str, Setting]) -> tuple[str, ...]:
    urls = tuple(url.rstrip("/") for url in _split(settings, "CVMFS_SERVER_URL", ";"))
    if not all(url.startswith(("http://", "https://", "file://")) for url in urls):
        raise _refuse(settings, "CVMFS_SERVER_URL", "a list of http://, https:// or file:// URLs with ';' between them")
    return urls


def _proxies(settings: Mapping[str, Setting]) -> str:
    proxies = _text(settings, "CVMFS_HTTP_PROXY") or "DIRECT"
    if proxies == "auto":
        raise _refuse(settings, "CVMFS_HTTP_PROXY", "supported yet: write the proxies, or DIRECT")
    return proxies
