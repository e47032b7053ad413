"""What `swrepo status` shows of mounts, for people."""

from __future__ import annotations

from typing import Any

import pytest

from swrepo.cli.administration.live import LiveMount
from swrepo.cli.administration.overview import as_tables

STATE: dict[str, Any] = {"pid": 7, "uptime": 60, "memory": 1 << 20, "repositories": []}


def shown(state: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    assert as_tables([LiveMount("/cvmfs/sw", 1, None, state)]) == 0
    return capsys.readouterr().out.splitlines()[1]


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"fetched": 10, "fetched_bytes": 2_000_000, "used": 9, "used_bytes": 1_500_000}, "2.0 MB, 75 % used"),
        ({"fetched": 1, "fetched_bytes": 0, "used": 1, "used_bytes": 0}, "0 bytes, 100 % used"),
        ({"fetched": 0, "fetched_bytes": 0, "used": 0, "used_bytes": 0}, "-"),
    ],
)
def test_what_was_fetched_ahead_and_of_use_is_shown(
    counters: dict[str, int], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown({**STATE, "ahead": counters}, capsys).endswith(f"  {expected}")


def test_a_mount_of_an_earlier_version_does_not_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(STATE, capsys).endswith("  -")
