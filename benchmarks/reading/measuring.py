"""Measures the rows of one tree with every client, phase by phase."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.reading.clients import Client, Ours, Running, mounted
from benchmarks.reading.rows import GROWTH, MEMORY, MOUNT_TARGET, ROWS, Base, Phase, Row, Target
from benchmarks.reading.table import Line, heading, show
from benchmarks.reading.trees import Tree

_QUICK = 8.0
"""Seconds up to which a row is measured more than once; the best counts."""

_MOUNTS = 2
_REPETITIONS = 3


class Measuring:
    """One tree. `scratch` takes caches, mountpoints and lists."""

    def __init__(self, tree: Tree, url: str, clients: list[Client], scratch: Path) -> None:
        self._tree = tree
        self._url = url
        self._clients = clients
        self._scratch = scratch / tree.name
        self._lists = self._scratch / "lists"
        self._lists.mkdir(parents=True)
        self._full: set[str] = set()

    def rows(self, wanted: list[str] | None) -> list[Line]:
        """Measure and print; the lines. Caches are removed afterwards."""
        heading(f"{self._tree.name}: {self._tree.title}")
        lines: list[Line] = []
        for row in ROWS[self._tree.name]:
            if wanted is None or any(words in row.name for words in wanted):
                lines += self._row(row)
        if wanted is None or any(words in "mount to first ls" for words in wanted):
            lines += self._mount_to_first_ls()
        if wanted is None or any(words in "memory" for words in wanted):
            lines += self._memory()
        shutil.rmtree(self._scratch)
        return lines

    def _row(self, row: Row) -> list[Line]:
        row.prepare(self._tree, self._lists)
        native = self._native(row)
        lines = {phase: Line(row.name, phase, target, native) for phase, target in row.targets.items()}
        for client in self._clients:
            if Phase.COLD in lines:
                self._cold(row, client, lines[Phase.COLD])
            self._fill(client)
            self._warm(row, client, lines[Phase.FIRST], lines[Phase.REPEATED])
        return [show(line) for line in lines.values()]

    def _native(self, row: Row) -> float | None:
        if self._tree.native is None:
            return None
        row.work(self._lists, self._tree.native)
        return min(row.work(self._lists, self._tree.native) for _ in range(_REPETITIONS))

    def _cold(self, row: Row, client: Client, line: Line) -> None:
        """The row on an empty cache; where it reads everything, that cache stays as the full one."""
        keep = row.fills and client.name not in self._full
        cache = self._cache(client) if keep else self._scratch / f"{client.name}-cold"
        with mounted(client, self._tree, self._url, self._point(client), cache) as running:
            self._do(row, client, line, running)
        if keep:
            self._full.add(client.name)
        else:
            shutil.rmtree(cache)

    def _fill(self, client: Client) -> None:
        if client.name in self._full:
            return
        with mounted(client, self._tree, self._url, self._point(client), self._cache(client)) as running:
            for row in ROWS[self._tree.name]:
                if row.fills or self._tree.name in ("million", "flat"):
                    row.prepare(self._tree, self._lists)
                    row.work(self._lists, running.point)
        self._full.add(client.name)

    def _warm(self, row: Row, client: Client, first: Line, again: Line) -> None:
        """After mounts with the full cache, and again on the last of them."""
        for _ in range(1 if row.is_long else _MOUNTS):
            with mounted(client, self._tree, self._url, self._point(client), self._cache(client)) as running:
                seconds = self._do(row, client, first, running)
                self._repeated(row, client, again, running)
            if seconds > _QUICK:
                break

    def _repeated(self, row: Row, client: Client, line: Line, running: Running) -> None:
        for _ in range(1 if row.is_long else _REPETITIONS):
            before = running.requests()
            seconds = self._do(row, client, line, running)
            after = running.requests()
            if after is not None and before is not None:
                sent = after - before
                line.requests = sent if line.requests is None else min(line.requests, sent)
            if seconds > _QUICK:
                break

    def _do(self, row: Row, client: Client, line: Line, running: Running) -> float:
        """The row once; the seconds, which the line keeps where they are the best."""
        before = running.processor()
        seconds = row.work(self._lists, running.point)
        self._note(line, client, seconds, running, before)
        return seconds

    def _note(self, line: Line, client: Client, seconds: float, running: Running, before: float = 0.0) -> None:
        used = running.processor() - before
        if isinstance(client, Ours):
            line.ours = min(seconds, line.ours or seconds)
            line.processor = used if line.processor is None else min(used, line.processor)
            line.memory = running.memory()
            if line.requests is None and line.phase is not Phase.REPEATED:
                line.requests = running.requests()
        else:
            line.original = min(seconds, line.original or seconds)
            line.processor_original = used if line.processor_original is None else min(used, line.processor_original)
            line.memory_original = running.memory()

    def _mount_to_first_ls(self) -> list[Line]:
        lines = {phase: Line("mount to first ls", phase, MOUNT_TARGET) for phase in (Phase.COLD, Phase.FIRST)}
        for client in self._clients:
            cold = self._scratch / f"{client.name}-cold"
            for _ in range(_REPETITIONS):
                self._note_mount(client, cold, lines[Phase.COLD])
                self._note_mount(client, cold, lines[Phase.FIRST])
                shutil.rmtree(cold)
        return [show(line) for line in lines.values()]

    def _note_mount(self, client: Client, cache: Path, line: Line) -> None:
        start = time.perf_counter()
        with mounted(client, self._tree, self._url, self._point(client), cache) as running:
            subprocess.run(["ls", str(running.point)], check=True, stdout=subprocess.DEVNULL)
            self._note(line, client, time.perf_counter() - start, running)

    def _memory(self) -> list[Line]:
        """Everything in one mount, and everything once more."""
        target = MEMORY.get(self._tree.name)
        if target is None:
            return []
        after = Line("resident MB after all of it", Phase.FIRST, target)
        later = Line("resident MB later", Phase.REPEATED)
        for client in self._clients:
            if client.name == "original" and self._tree.name == "million":
                continue  # it takes minutes and has no target
            self._fill(client)
            with mounted(client, self._tree, self._url, self._point(client), self._cache(client)) as running:
                for line in (after, later):
                    for row in ROWS[self._tree.name]:
                        row.prepare(self._tree, self._lists)
                        row.work(self._lists, running.point)
                    setattr(line, "ours" if isinstance(client, Ours) else "original", running.memory())
        later.target = Target(round((after.ours or 0) * GROWTH), Base.MEGABYTES)
        later.note = f"flat: <= {GROWTH:g} x the above"
        return [show(line) for line in (after, later)]

    def _cache(self, client: Client) -> Path:
        return self._scratch / f"{client.name}-cache"

    def _point(self, client: Client) -> Path:
        return self._scratch / f"{client.name}-mnt"
