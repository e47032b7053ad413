"""The benchmark of cold starts: what it keeps, what it says of targets, what it draws."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.coldstart.clients import NEIGHBOURS, ORIGINAL, PLAIN, PROFILE
from benchmarks.coldstart.plot import plot
from benchmarks.coldstart.results import Needs, Results, Row
from benchmarks.coldstart.verdicts import FAR, LAN, Verdict, verdicts

NEEDS = Needs("numpy", "Python & pandas", 12_500_000, 500, 1.0)


def row(client: str, seconds: float, link: tuple[float, float] = FAR, received: int = 12_500_000) -> Row:
    return Row("numpy", client, *link, seconds / 4, 3 * seconds / 4, 500, received, 1)


def results(*rows: Row) -> Results:
    return Results({"numpy": NEEDS}, list(rows))


def said(found: Results) -> dict[str, Verdict]:
    return {verdict.what: verdict for verdict in verdicts(found)}


def test_the_limit_is_the_bytes_five_round_trips_and_the_warm_run() -> None:
    assert NEEDS.limit(100, 100) == pytest.approx(1.0 + 0.5 + 1.0)


def test_each_target_is_met_or_missed() -> None:
    met = said(results(row(ORIGINAL, 60), row(NEIGHBOURS, 20, received=16_000_000), row(PROFILE, 3.7)))
    assert [verdict.is_met for verdict in met.values()] == [True, True, True, True]
    missed = said(results(row(ORIGINAL, 60), row(NEIGHBOURS, 22, received=17_000_000), row(PROFILE, 3.8)))
    assert [verdict.is_met for verdict in missed.values()] == [False, False, False, True]
    assert all("MISS" in str(verdict) for verdict in missed.values() if not verdict.is_met)


def test_on_a_lan_the_original_is_what_is_compared_with() -> None:
    near = said(results(row(ORIGINAL, 4.0, LAN), row(NEIGHBOURS, 2.9, LAN), row(PROFILE, 2.0, LAN)))
    assert [verdict.value for verdict in near.values()] == [pytest.approx(0.725), pytest.approx(0.5)]


def test_what_was_not_measured_is_not_judged() -> None:
    assert list(verdicts(results(row(PLAIN, 60)))) == []


def test_a_later_run_replaces_what_it_measured_again(tmp_path: Path) -> None:
    found = results(row(ORIGINAL, 60), row(PROFILE, 9))
    found.add(row(PROFILE, 4))
    found.write(tmp_path / "results.json")
    again = Results.read(tmp_path / "results.json")
    assert {one.client: one.seconds for one in again.rows} == {ORIGINAL: 60, PROFILE: 4}
    assert again.needs == {"numpy": NEEDS}


def test_the_plot_has_a_line_for_each_client_and_the_limit_where_there_are_several_round_trips() -> None:
    rows = [row(client, 10 + rtt, (rtt, 100.0)) for client in (ORIGINAL, PROFILE) for rtt in (1.0, 100.0)]
    drawn = ET.fromstring(plot(results(*rows)))
    lines = drawn.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 3
    assert all(len(line.attrib["points"].split()) == 2 for line in lines)
    single = ET.fromstring(plot(results(row(ORIGINAL, 60))))
    assert single.findall(".//{http://www.w3.org/2000/svg}polyline") == []
