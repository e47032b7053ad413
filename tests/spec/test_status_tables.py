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


def test_how_far_directories_are_filled_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    filling = [
        {"path": "/v1", "state": "runs", "done": 250_000, "total": 1_000_000},
        {"path": "/v2", "state": "waits", "done": 0, "total": 0},
    ]
    assert as_tables([LiveMount("/cvmfs/sw", 1, None, {**STATE, "filling": filling})]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "/cvmfs/sw/v1  is being filled          [######                  ]  25%, 250.0 KB of 1.0 MB" in lines
    assert "/cvmfs/sw/v2  waits for its first use  -" in lines


def test_where_fetching_ahead_is_off_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown({**STATE, "prefetch": False}, capsys).endswith("  is off")


def test_a_mount_of_an_earlier_version_does_not_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(STATE, capsys).endswith("  -")
