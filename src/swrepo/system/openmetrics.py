"""The text format of OpenMetrics 1.0, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = Mapping[str, str]


class Exposition:
    """Collects families of metrics; `text` is the whole."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def counter(self, name: str, meaning: str, samples: Sequence[tuple[Labels, float]], unit: str = "") -> None:
        """What only grows; `name` without `_total`."""
        self._family(name, "counter", meaning, unit)
        self._lines += [f"{name}_total{_labels(labels)} {_number(value)}" for labels, value in samples]

    def gauge(self, name: str, meaning: str, samples: Sequence[tuple[Labels, float]], unit: str = "") -> None:
        """What goes up and down."""
        self._family(name, "gauge", meaning, unit)
        self._lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]

    def info(self, name: str, meaning: str, samples: Sequence[Labels]) -> None:
        """What is no number; `name` without `_info`."""
        self._family(name, "info", meaning, "")
        self._lines += [f"{name}_info{_labels(labels)} 1" for labels in samples]

    def histogram(
        self,
        name: str,
        meaning: str,
        bounds: Sequence[float],
        samples: Sequence[tuple[Labels, Sequence[int], float]],
        unit: str,
    ) -> None:
        """`samples`: labels, counts between the bounds (one more than there are bounds), and the sum of all values."""
        self._family(name, "histogram", meaning, unit)
        for labels, counts, total in samples:
            seen = 0
            for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
                seen += count
                self._lines.append(f"{name}_bucket{_labels({**labels, 'le': bound})} {seen}")
            self._lines.append(f"{name}_sum{_labels(labels)} {_number(total)}")
            self._lines.append(f"{name}_count{_labels(labels)} {seen}")

    def of_usage(self, boots: int, up: float, used: float) -> None:
        """How often a machine was started, and for how many seconds it ran and was used."""
        self.counter("swrepo_machine_boots", "Times that the machine was started.", [({}, boots)])
        self.counter("swrepo_machine_up_seconds", "How long it ran, over all boots.", [({}, up)], "seconds")
        meaning = "How long a program used something below /cvmfs, over all boots."
        self.counter("swrepo_machine_use_seconds", meaning, [({}, used)], "seconds")

    @property
    def text(self) -> str:
        return "\n".join([*self._lines, "# EOF"]) + "\n"

    def _family(self, name: str, kind: str, meaning: str, unit: str) -> None:
        self._lines.append(f"# TYPE {name} {kind}")
        if unit:
            self._lines.append(f"# UNIT {name} {unit}")
        self._lines.append(f"# HELP {name} {_escaped(meaning)}")


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
