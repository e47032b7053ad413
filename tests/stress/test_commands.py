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

from swrepo.cli.exits import INTERRUPTED, UNEXPECTED
from tests.stress.disk import disk_in
from tests.stress.site import Site, site_on
from tests.stress.strikes import Ended, Striker

IS_LONG = os.environ.get("SWREPO_STRESS") == "long"
SEEDS, ATTEMPTS = (20, 50) if IS_LONG else (1, 11)

pytestmark = [
    pytest.mark.mount,
    pytest.mark.timeout(3600 if IS_LONG else 120),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts disks"),
]


def assert_says_what_it_is(ended: Ended, kind: str) -> None:
    """One that failed by itself says why, in one line."""
    assert ended.code != UNEXPECTED, (kind, ended)
    if kind == "Ctrl-C" or ended.code == INTERRUPTED:  # Python itself may say where it was
        return
    assert "Traceback" not in ended.complaint, (kind, ended)
    if ended.code > 0:
        assert ended.complaint.count("\n") == 1, (kind, ended)


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


@pytest.mark.skipif(not IS_LONG, reason="takes minutes: only in the long form")
@pytest.mark.parametrize("seed", range(4))
def test_the_same_while_objects_are_named_and_others_are_stored(tmp_path: Path, seed: int) -> None:
    """So many at once that the first ones get their names while the last ones are written."""
    dice = random.Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    with disk_in(tmp_path, dice) as disk:
        site = site_on(disk, dice, files=13_000, largest=200)
        striker = Striker(site.environment, disk, dice, 4.0)
        kinds = [kind for kind in striker.kinds if kind not in ("clock", "rival")]
        for attempt in range(8):
            site.change(12_900)
            disk.sync()
            kind = kinds[attempt % len(kinds)] if attempt < len(kinds) else dice.choice(kinds)
            seen[kind, strike(site, striker, kind)] += 1
            site.run(site.command("gc", "-r", "0", "-f", site.fqrn, program="cvmfs_server"))
            site.check_with_the_original()
    print(dict(seen))
