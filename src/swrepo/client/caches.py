"""From the configured caches to a plan of directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swrepo.cache.memory import IN_MEMORY
from swrepo.cache.plan import CachePlan, DirectoryPlan, MemoryPlan, TieredPlan, Use
from swrepo.config.caches import CacheInstance, PosixCache, RamCache
from swrepo.errors import ConfigError
from swrepo.system.user import user_id

Locate = Callable[[PosixCache], Path]
"""The directory of a cache that is this host's own."""


def cache_plan(instance: CacheInstance, locate: Locate) -> CachePlan:
    """Where the caches lie that a configuration names. ConfigError where two of them are one directory."""
    if isinstance(instance, RamCache):
        return MemoryPlan(IN_MEMORY / f"swrepo.{user_id()}.{instance.name}", instance.size)
    if isinstance(instance, PosixCache):
        if instance.alien is not None:
            return DirectoryPlan(Path(instance.alien), Use.SHARED)
        return DirectoryPlan(locate(instance), Use.OWN, instance.quota)
    upper, lower = cache_plan(instance.upper, locate), cache_plan(instance.lower, locate)
    if instance.lower_readonly and isinstance(lower, DirectoryPlan):
        lower = DirectoryPlan(lower.root, Use.READ)
    if roots(upper) & roots(lower):
        shared = ", ".join(sorted(map(str, roots(upper) & roots(lower))))
        raise ConfigError(f"both tiers of a cache lie in {shared}; give one of them another base")
    return TieredPlan(upper, lower, fills=not instance.lower_readonly, copies=instance.copy_up)


def roots(plan: CachePlan) -> set[Path]:
    """Every directory of a plan."""
    if isinstance(plan, TieredPlan):
        return roots(plan.upper) | roots(plan.lower)
    return {plan.root}
