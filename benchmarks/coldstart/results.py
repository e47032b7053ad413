"""What was measured, as values and as JSON: a file that later runs add to, and replace the rows of that they repeat."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROUND_TRIPS = 5
"""Of the limit: connection, manifest, catalog, first file, its list of what comes next."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a program takes without a link: bytes and requests of a mount that fetches nothing ahead, seconds warm."""

    program: str
    title: str
    received: int
    requests: int
    warm: float

    def limit(self, rtt: float, mbit: float) -> float:
        """Seconds for the bytes at that bandwidth, five round trips, and the run with all here, one after another.

        A little less is possible: a program may run while the rest of its files travels.
        """
        return self.received * 8 / mbit / 1e6 + ROUND_TRIPS * rtt / 1000 + self.warm


@dataclass(frozen=True, slots=True)
class Row:
    """The best of `runs` cold starts: seconds of mounting and running, and what came over the link for that.

    `processor`: seconds of it that the whole machine was busy; `ahead`: what our counters say of what was guessed.
    """

    program: str
    client: str
    rtt: float
    mbit: float
    mount: float
    run: float
    requests: int
    received: int
    runs: int
    processor: float = 0.0
    load: float = 0.0
    ahead: str = ""

    @property
    def seconds(self) -> float:
        return self.mount + self.run

    @property
    def key(self) -> tuple[str, str, float, float]:
        return self.program, self.client, self.rtt, self.mbit


@dataclass(slots=True)
class Results:
    """All of it. `needs`: by program; `repeated`: objects that a crowd made leave the server more than once."""

    needs: dict[str, Needs] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    repeated: int | None = None

    def add(self, row: Row) -> None:
        """In place of what was measured before for the same."""
        self.rows = [one for one in self.rows if one.key != row.key] + [row]

    def find(self, program: str, client: str, rtt: float, mbit: float) -> Row | None:
        return next((row for row in self.rows if row.key == (program, client, rtt, mbit)), None)

    def waste(self, row: Row) -> float:
        """Bytes beyond those that the program needs, as a share of them."""
        return row.received / self.needs[row.program].received - 1

    def to_limit(self, row: Row) -> float:
        """How many times the limit it took."""
        return row.seconds / self.needs[row.program].limit(row.rtt, row.mbit)

    def write(self, path: Path) -> None:
        rows = [
            asdict(row) | {"limit": round(self.to_limit(row), 3), "waste": round(self.waste(row), 4)}
            for row in sorted(self.rows, key=lambda row: (row.program, row.mbit, row.rtt, row.client))
        ]
        content = {"needs": [asdict(one) for one in self.needs.values()], "rows": rows, "repeated": self.repeated}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        if not path.exists():
            return cls()
        content = json.loads(path.read_text("utf-8"))
        known = Row.__dataclass_fields__
        rows = [Row(**{name: value for name, value in row.items() if name in known}) for row in content["rows"]]
        return cls({one["program"]: Needs(**one) for one in content["needs"]}, rows, content.get("repeated"))
