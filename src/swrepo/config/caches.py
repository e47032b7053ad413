"""Which caches a client uses: the parameters CVMFS_CACHE_PRIMARY and CVMFS_CACHE_<NAME>_*, as a tree of instances.

Names and meaning are those of the original (features.md 4). Nothing here looks at the disk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from swrepo.config.files import Setting
from swrepo.errors import ConfigError

DEFAULT_QUOTA_LIMIT = 4000 << 20
PRIMARY = "CVMFS_CACHE_PRIMARY"
DEFAULT = "default"
"""The instance whose parameters have no name in them: CVMFS_CACHE_BASE, CVMFS_QUOTA_LIMIT, ..."""

_KINDS = ("posix", "ram", "tiered")
_FIELDS = {
    "posix": ("TYPE", "BASE", "SHARED", "QUOTA_LIMIT", "ALIEN"),
    "ram": ("TYPE", "SIZE"),
    "tiered": ("TYPE", "UPPER", "LOWER", "LOWER_READONLY", "COPY_UP"),
}
_OF_AN_INSTANCE = re.compile(
    r"CVMFS_CACHE_([A-Za-z0-9_]+?)_(TYPE|BASE|SHARED|QUOTA_LIMIT|ALIEN|SIZE|UPPER|LOWER|LOWER_READONLY|COPY_UP)"
)
_UNNAMED = {
    "TYPE": "CVMFS_CACHE_TYPE",
    "BASE": "CVMFS_CACHE_BASE",
    "SHARED": "CVMFS_SHARED_CACHE",
    "QUOTA_LIMIT": "CVMFS_QUOTA_LIMIT",
    "ALIEN": "CVMFS_ALIEN_CACHE",
}
_TRUE = frozenset({"yes", "on", "1", "true"})
_FALSE = frozenset({"no", "off", "0", "false", ""})


@dataclass(frozen=True, slots=True)
class PosixCache:
    """A directory below `base` (None: where caches lie by default), shared by all repositories or one for each.

    `alien`: a directory that other hosts use too, in place of it. `quota` in bytes; None for no limit.
    """

    base: str | None = None
    shared: bool = True
    quota: int | None = DEFAULT_QUOTA_LIMIT
    alien: str | None = None


@dataclass(frozen=True, slots=True)
class RamCache:
    """At most `size` bytes of memory."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class TieredCache:
    """What `upper` lacks is looked for in `lower`, and copied to `upper` unless `copy_up` is False."""

    upper: CacheInstance
    lower: CacheInstance
    lower_readonly: bool = False
    copy_up: bool = True


CacheInstance = PosixCache | RamCache | TieredCache


def is_of_an_instance(name: str) -> bool:
    """Whether it is a parameter of a cache that has a name."""
    return _OF_AN_INSTANCE.fullmatch(name) is not None


def cache_instance(settings: Mapping[str, Setting]) -> CacheInstance:
    """The cache that the settings describe. ConfigError, which names the parameter, its place and what fits."""
    primary = _value(settings, PRIMARY) or DEFAULT
    if primary != DEFAULT and _value(settings, f"CVMFS_CACHE_{primary}_TYPE") is None:
        setting = settings[PRIMARY]
        wanted = f"the name of a cache: CVMFS_CACHE_{primary}_TYPE is not set"
        raise ConfigError(f"{setting.origin}: {PRIMARY}={setting.value!r} is not {wanted}")
    return _Reader(settings).instance(primary, ())


class _Reader:
    """Reads instances by name; each at most once in a tree."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = settings

    def instance(self, name: str, above: tuple[str, ...]) -> CacheInstance:
        kind = self._text(name, "TYPE") or ("posix" if name == DEFAULT else None)
        if kind is None:
            raise ConfigError(f"there is no cache {name!r}: {self._parameter(name, 'TYPE')} is not set ({_either()})")
        if kind not in _KINDS:
            more = "; one in memory needs no other program, it is of type ram" if kind == "external" else ""
            raise self._refuse(name, "TYPE", f"supported: {_either()}{more}")
        self._refuse_strangers(name, kind)
        if kind == "ram":
            return RamCache(name, self._size(name))
        if kind == "tiered":
            return self._tiered(name, above)
        return PosixCache(
            base=self._text(name, "BASE") or _value(self._settings, _UNNAMED["BASE"]),
            shared=self._switch(name, "SHARED", default=name == DEFAULT),
            quota=self._quota(name),
            alien=self._text(name, "ALIEN"),
        )

    def _tiered(self, name: str, above: tuple[str, ...]) -> TieredCache:
        tiers = []
        for field in ("UPPER", "LOWER"):
            other = self._text(name, field)
            if other is None:
                raise ConfigError(f"the tiered cache {name} needs {self._parameter(name, field)}: the name of a cache")
            if other in (*above, name) or other in tiers:
                raise self._refuse(name, field, "another cache than those around it")
            tiers.append(other)
        upper, lower = (self.instance(other, (*above, name)) for other in tiers)
        if upper == lower:
            raise ConfigError(f"both tiers of the cache {name} are the same directory; give each a BASE of its own")
        readonly = self._switch(name, "LOWER_READONLY", default=False)
        return TieredCache(upper, lower, readonly, self._switch(name, "COPY_UP", default=True))

    def _parameter(self, name: str, field: str) -> str:
        return _UNNAMED.get(field, f"CVMFS_CACHE_{field}") if name == DEFAULT else f"CVMFS_CACHE_{name}_{field}"

    def _text(self, name: str, field: str) -> str | None:
        return _value(self._settings, self._parameter(name, field))

    def _refuse(self, name: str, field: str, expected: str) -> ConfigError:
        parameter = self._parameter(name, field)
        setting = self._settings[parameter]
        return ConfigError(f"{setting.origin}: {parameter}={setting.value!r} is not {expected}")

    def _refuse_strangers(self, name: str, kind: str) -> None:
        for field in sorted({field for fields in _FIELDS.values() for field in fields} - set(_FIELDS[kind])):
            if name != DEFAULT and self._text(name, field) is not None:
                raise self._refuse(name, field, f"a parameter of a cache of type {kind}")

    def _quota(self, name: str) -> int | None:
        text = self._text(name, "QUOTA_LIMIT")
        if text is None:
            return DEFAULT_QUOTA_LIMIT
        if text == "-1":
            return None
        return self._megabytes(name, "QUOTA_LIMIT", text, ", or -1 for no limit")

    def _size(self, name: str) -> int:
        text = self._text(name, "SIZE")
        if text is None:
            raise ConfigError(f"the cache {name} in memory needs {self._parameter(name, 'SIZE')}: megabytes")
        return self._megabytes(name, "SIZE", text)

    def _megabytes(self, name: str, field: str, text: str, more: str = "") -> int:
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1 << 31:
            raise self._refuse(name, field, f"a whole number of megabytes from 1 up{more}")
        return int(text) << 20

    def _switch(self, name: str, field: str, *, default: bool) -> bool:
        if self._parameter(name, field) not in self._settings:
            return default
        text = (self._text(name, field) or "").lower()
        if text not in _TRUE | _FALSE:
            raise self._refuse(name, field, "yes or no")
        return text in _TRUE


def _value(settings: Mapping[str, Setting], name: str) -> str | None:
    setting = settings.get(name)
    return setting.value.strip() or None if setting else None


def _either() -> str:
    return ", ".join(_KINDS[:-1]) + " or " + _KINDS[-1]
