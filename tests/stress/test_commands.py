"""Publications by the real command, whose small files are stored by processes: whatever happens to them, the old or
the new revision reads completely, and the next publication succeeds.

The short form takes seconds. `SWREPO_STRESS=long` (make stress): a thousand interruptions.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.stress.disk import disk_in
from tests.stress.site import Site, site_on
from tests.stress.strikes import Ended, Striker

IS_LONG = os.environ.get("SWREPO_STRESS") == "long"
SEEDS, ATTEMPTS = (20, 50) if IS_LONG else (1, 11)
UNEXPECTED = 70

pytestmark = [
    pytest.mark.mount,
    pytest.mark.timeout(3600 if IS_LONG else 120),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks"),
]


def assert_says_what_it_is(ended: Ended, kind: str) -> None:
    """One that failed by itself says why, in one line."""
    assert ended.code != UNEXPECTED, (kind, ended)
    if kind == "Ctrl-C":  # Python itself may say where it was, and goes on where nobody could have handled it
        return
    assert "Traceback" not in ended.said, (kind, ended)
    if ended.code > 0:
        assert ended.said.count("\n") == 1, (kind, ended)


def strike(site: Site, striker: Striker, kind: str) -> str:
    """Have a publication struck; which revision there is then."""
    old = site.revision()
    ended = striker.kinds[kind](site.publish)
    assert_says_what_it_is(ended, kind)
    new = site.revision()
    assert new in (old, old + 1)
    assert new == old + 1 or ended.code != 0, (kind, ended)
    assert ("published revision" in striker.undisturbed(site.publish).said) == (new == old)
    site.check()
    return "new" if new > old else "old"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_command_may_be_interrupted_at_any_moment_in_any_way(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    with disk_in(tmp_path, dice) as disk:
        site = site_on(disk, dice, files=400)
        striker = Striker(site.environment, disk, dice, 1.0)
        kinds = list(striker.kinds)
        for attempt in range(ATTEMPTS):
            site.change(dice.randint(70, 300))
            disk.sync()  # the tree is its owner's: only the repository is at stake
            if attempt % len(kinds) == 0:
                dice.shuffle(kinds)
            kind = kinds[attempt % len(kinds)]
            seen[kind, strike(site, striker, kind)] += 1
            if attempt % 10 == 0:
                site.check_with_the_original()
    print(dict(seen))
