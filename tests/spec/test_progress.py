"""cli.progress: what long work says of itself on standard error."""

from __future__ import annotations

import json

from swrepo.cli.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_once_all_is_known_it_says_of_how_much_how_fast_and_how_long_yet(capsys):
    clock = Clock()
    with Progress("storing", "files", clock) as progress:
        progress.expect(3, 90_000_000)
        clock.now += 10
        progress.advance(1, 20_000_000)
        progress.expect_no_more()
        clock.now += 10
        progress.advance(1, 20_000_000)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "storing: 1 files, 20.0 MB, 2.0 MB/s"
    assert second.startswith("storing: 2 of 3 files, 40.0 MB of 90.0 MB ")
    assert second.endswith(" 44%, 2.0 MB/s, 0:25 left")


def test_events_are_lines_of_json(capsys):
    clock = Clock()
    with Progress("publishing", "files", clock, as_events=True) as progress:
        progress.phase("comparing")
        progress.expect(2, 4000)
        progress.expect_no_more()
        clock.now += 10
        progress.advance(1, 1000)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["phase"], first["files"], first["seconds_left"]) == ("comparing", 0, None)
    assert second == {
        "event": "progress",
        "phase": "comparing",
        "files": 1,
        "bytes": 1000,
        "expected_files": 2,
        "expected_bytes": 4000,
        "bytes_per_second": 100,
        "seconds_left": 30,
    }


def test_work_that_is_over_at_once_says_nothing(capsys):
    with Progress("copied", "files", Clock()) as progress:
        progress.advance(5, 5)
    assert capsys.readouterr().err == ""
