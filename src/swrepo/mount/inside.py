"""What a mount tells of its inside: counters by the original's names, latencies, open catalogs, known inodes."""

from __future__ import annotations

import os
import sys

from swrepo.client.access import Access
from swrepo.fuse.wire import Opcode
from swrepo.mount.mounted import Mounted
from swrepo.net.remote import RemoteRepository
from swrepo.vfs.nodes import Span
from swrepo.vfs.tree import ROOT_NODE, StaleNode

_SHARES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
_ACTIONS = {
    "lookup": Opcode.LOOKUP,
    "getattr": Opcode.GETATTR,
    "readlink": Opcode.READLINK,
    "readdir": Opcode.READDIR,
    "readdirplus": Opcode.READDIRPLUS,
    "open": Opcode.OPEN,
    "read": Opcode.READ,
    "getxattr": Opcode.GETXATTR,
}
_NANOSECONDS = 1e9


def latencies(mounted: Mounted) -> str:
    """CSV as in the original: quantiles, in nanoseconds, of the answers that had to wait for something."""
    name = mounted.fqrn or "cvmfs"
    shares = ",".join(f"{share:.5f}" for share in _SHARES)
    lines = [f'"repository","action","total_count","time_unit",{shares}']
    for action, opcode in _ACTIONS.items():
        found = mounted.process.latencies.of(opcode)
        values = ",".join(str(round(_NANOSECONDS * found.quantile(share))) for share in _SHARES)
        lines.append(f'"{name}","{action}",{found.total},"nanoseconds",{values}')
    return "\n".join(lines)


def affairs(mounted: Mounted) -> str:
    """A line `name|value|meaning` for each counter, those that the original has by the names that they have there."""
    head = [f"Python {sys.version.split()[0]}, process {os.getpid()}, {len(mounted.accesses)} repositories", ""]
    rows = [f"{name}|{value}|{meaning}" for name, value, meaning in _counters(mounted)]
    return "\n".join([*head, "Name|Value|Description", *rows])


def counters(mounted: Mounted) -> dict[str, int]:
    """The same as numbers."""
    return {name: value for name, value, _ in _counters(mounted)}


def _counters(mounted: Mounted) -> list[tuple[str, int, str]]:
    requests, process = mounted.session.requests(), mounted.process
    accesses = list(mounted.accesses.values())
    ahead = mounted.adapter.ahead.ledger.total
    return [
        ("ahead.n_fetched", ahead.fetched, "objects that were fetched before anybody asked for them"),
        ("ahead.n_used", ahead.used, "those among them that somebody then wanted"),
        ("ahead.n_wasted", ahead.wasted, "those that nobody has wanted so far"),
        ("ahead.sz_fetched_bytes", ahead.fetched_bytes, "their plain bytes"),
        ("ahead.sz_wasted_bytes", ahead.wasted_bytes, "plain bytes that nobody has wanted so far"),
        ("cvmfs.n_fs_dir_open", process.listings(), "requests for listings"),
        ("cvmfs.n_fs_forget", requests.get("FORGET", 0) + requests.get("BATCH_FORGET", 0), "requests that forget"),
        ("cvmfs.n_fs_lookup", requests.get("LOOKUP", 0), "look-ups"),
        ("cvmfs.n_fs_open", process.files_opened(), "files that were opened and read"),
        ("cvmfs.n_fs_read", requests.get("READ", 0), "reads"),
        ("cvmfs.n_fs_readlink", requests.get("READLINK", 0), "links that were read"),
        ("cvmfs.n_fs_stat", requests.get("GETATTR", 0), "requests for attributes"),
        ("cvmfs.n_fs_statfs", requests.get("STATFS", 0), "questions for the size"),
        ("cvmfs.n_io_error", process.errors(), "requests that were answered with EIO"),
        *_network(accesses),
        ("eio.total", process.errors(), "requests that were answered with EIO"),
        *_cache(accesses),
        ("sqlite.no_open", sum(len(one.revision.tree.loaded()) for one in accesses), "catalogs that are open"),
    ]


def _network(accesses: list[Access]) -> list[tuple[str, int, str]]:
    traffic = [access.documents.traffic for access in accesses if isinstance(access.documents, RemoteRepository)]
    milliseconds = round(1000 * sum(one.seconds for one in traffic))
    return [
        ("download.n_host_failover", sum(one.other_server for one in traffic), "changes to another server"),
        ("download.n_proxy_failover", sum(one.other_proxy for one in traffic), "changes to another proxy"),
        ("download.n_requests", sum(one.responses + one.failed for one in traffic), "requests to servers"),
        ("download.n_retries", sum(one.failed for one in traffic), "tries that failed"),
        ("download.sz_transfer_time", milliseconds, "time of all transfers, in milliseconds"),
        ("download.sz_transferred_bytes", sum(one.received_bytes for one in traffic), "bytes that came"),
    ]


def _cache(accesses: list[Access]) -> list[tuple[str, int, str]]:
    counters = [access.cache.counters for access in accesses]
    fetched = sum(one.fetched for one in counters)
    return [
        ("fetch.n_downloads", fetched, "objects that were fetched"),
        ("fetch.n_invocations", fetched + sum(one.hits for one in counters), "objects that were asked for"),
    ]


def open_catalogs(mounted: Mounted) -> str:
    """The catalogs that are open, each below the one that it is mounted in."""
    lines = []
    for name, access in mounted.accesses.items():
        above: list[bytes] = []
        for catalog in access.revision.tree.loaded():
            while above and not catalog.mountpoint.startswith(above[-1] + b"/"):
                above.pop()
            shown = os.fsdecode(catalog.mountpoint)
            lines.append(f"{'    ' * len(above)}-> {f'/{name}' if name else ''}{shown}")
            above.append(catalog.mountpoint)
    return "\n".join(lines)


def inodes(mounted: Mounted) -> str:
    """The numbers that the kernel remembers."""
    return "\n".join(str(span.base + row) for span in _spans(mounted) for row in _rows(mounted, span))


def entries(mounted: Mounted) -> str:
    """The entries that the kernel remembers: `<number of the directory>/name`."""
    lines = []
    for span in _spans(mounted):
        for row in _rows(mounted, span):
            line = _entry(mounted, span, row)
            if line is not None:
                lines.append(line)
    return "\n".join(lines)


def _spans(mounted: Mounted) -> list[Span]:
    with mounted.vfs.lock:
        return mounted.vfs.nodes.spans()


def _rows(mounted: Mounted, span: Span) -> list[int]:
    with mounted.vfs.lock:
        return mounted.vfs.nodes.rows_known(span)


def _entry(mounted: Mounted, span: Span, row: int) -> str | None:
    """None of one that was forgotten meanwhile, or belongs to a revision that is gone."""
    with mounted.vfs.lock:
        catalog = span.catalog
        found = None if catalog is None else catalog.by_rowid(row)
        if catalog is None or found is None:
            return None
        entry, _, parent = found
        try:
            above = catalog.lookup_key(parent)
            number = ROOT_NODE if above is None or not above.rowid else span.number(above.rowid)
        except StaleNode:
            return None
    return f"<{number}>/{entry.name.decode('utf-8', 'backslashreplace')}"
