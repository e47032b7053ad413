"""From the original's parameters of caches to directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from swrepo.cache.plan import DirectoryPlan, MemoryPlan, TieredPlan, Use
from swrepo.client.caches import cache_plan, roots
from swrepo.config.caches import PosixCache, RamCache, TieredCache, cache_instance, is_of_an_instance
from swrepo.config.files import Setting
from swrepo.errors import ConfigError

MEGABYTE = 1 << 20


def settings(text: str) -> dict[str, Setting]:
    """`NAME=VALUE` words; a name without CVMFS_ is one of `CVMFS_CACHE_`."""
    found = {}
    for word in text.split():
        name, _, value = word.partition("=")
        found[name if name.startswith("CVMFS_") else f"CVMFS_CACHE_{name}"] = Setting(value, f"here:{len(found) + 1}")
    return found


def locate(cache: PosixCache) -> Path:
    return Path(cache.base or "/default") / ("shared" if cache.shared else "own")


TIERED = "PRIMARY=t t_TYPE=tiered t_UPPER=a t_LOWER=b a_TYPE=posix a_BASE=/a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", PosixCache()),
        (
            "CVMFS_CACHE_BASE=/c CVMFS_SHARED_CACHE=no CVMFS_QUOTA_LIMIT=7",
            PosixCache("/c", shared=False, quota=7 << 20),
        ),
        ("CVMFS_QUOTA_LIMIT=-1 CVMFS_ALIEN_CACHE=/al", PosixCache(quota=None, alien="/al")),
        ("PRIMARY=default", PosixCache()),
        ("PRIMARY=x x_TYPE=posix x_BASE=/x x_SHARED=yes", PosixCache("/x", shared=True)),
        ("PRIMARY=x x_TYPE=posix CVMFS_CACHE_BASE=/c", PosixCache("/c", shared=False)),
        ("PRIMARY=x x_TYPE=ram x_SIZE=64", RamCache("x", 64 * MEGABYTE)),
        (
            f"{TIERED} b_TYPE=ram b_SIZE=1 t_LOWER_READONLY=yes t_COPY_UP=no",
            TieredCache(PosixCache("/a", shared=False), RamCache("b", MEGABYTE), lower_readonly=True, copy_up=False),
        ),
    ],
)
def test_the_cache_that_is_described(text: str, expected: object) -> None:
    assert cache_instance(settings(text)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("PRIMARY=x", "here:1: CVMFS_CACHE_PRIMARY='x' is not the name of a cache: CVMFS_CACHE_x_TYPE is not set"),
        ("PRIMARY=x x_TYPE=external", "here:2: CVMFS_CACHE_x_TYPE='external' is not supported: posix, ram or tiered"),
        ("PRIMARY=x x_TYPE=ram", "needs CVMFS_CACHE_x_SIZE"),
        ("PRIMARY=x x_TYPE=ram x_SIZE=10%", "here:3: CVMFS_CACHE_x_SIZE='10%' is not a whole number of megabytes"),
        ("PRIMARY=x x_TYPE=posix x_QUOTA_LIMIT=0", "or -1 for no limit"),
        ("PRIMARY=x x_TYPE=posix x_SHARED=maybe", "is not yes or no"),
        ("PRIMARY=x x_TYPE=posix x_UPPER=y", "CVMFS_CACHE_x_UPPER='y' is not a parameter of a cache of type posix"),
        ("PRIMARY=t t_TYPE=tiered t_UPPER=a a_TYPE=posix", "needs CVMFS_CACHE_t_LOWER"),
        (TIERED, "there is no cache 'b': CVMFS_CACHE_b_TYPE is not set"),
        ("PRIMARY=t t_TYPE=tiered t_UPPER=t t_LOWER=t", "is not another cache than those around it"),
        ("PRIMARY=t t_TYPE=tiered t_UPPER=a t_LOWER=a a_TYPE=posix", "is not another cache than those around it"),
        (f"{TIERED} b_TYPE=tiered b_UPPER=t b_LOWER=a", "is not another cache than those around it"),
        (f"{TIERED} b_TYPE=posix b_BASE=/a", "both tiers"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        cache_instance(settings(text))
    assert complaint in str(raised.value)


def test_names_may_contain_the_names_of_parameters() -> None:
    assert is_of_an_instance("CVMFS_CACHE_my_UPPER_TYPE")
    assert is_of_an_instance("CVMFS_CACHE_t_LOWER_READONLY")
    for other in ("CVMFS_CACHE_BASE", "CVMFS_CACHE_PRIMARY", "CVMFS_CACHE_REFCOUNT", "CVMFS_CACHE_x_COLOUR"):
        assert not is_of_an_instance(other)


def test_the_plan_of_two_tiers() -> None:
    text = f"{TIERED} b_TYPE=posix b_ALIEN=/image t_LOWER_READONLY=yes a_QUOTA_LIMIT=5"
    assert cache_plan(cache_instance(settings(text)), locate) == TieredPlan(
        DirectoryPlan(Path("/a/own"), Use.OWN, 5 * MEGABYTE),
        DirectoryPlan(Path("/image"), Use.READ),
        fills=False,
        copies=True,
    )


def test_a_cache_in_memory_lies_in_a_directory_of_its_user() -> None:
    plan = cache_plan(cache_instance(settings("PRIMARY=x x_TYPE=ram x_SIZE=2")), locate)
    assert isinstance(plan, MemoryPlan)
    assert plan.size == 2 * MEGABYTE
    assert plan.root.parent == Path("/dev/shm")
    assert roots(plan) == {plan.root}


def test_two_tiers_in_one_directory_are_refused() -> None:
    text = f"{TIERED} b_TYPE=posix b_ALIEN=/a/own"
    with pytest.raises(ConfigError, match="both tiers of a cache lie in /a/own"):
        cache_plan(cache_instance(settings(text)), locate)
