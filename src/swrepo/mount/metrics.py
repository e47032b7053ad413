"""The figures of a mount as OpenMetrics text. They are counted anyway; nothing is counted for this alone."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.fuse.wire import Opcode
from swrepo.mount.latencies import BOUNDS
from swrepo.mount.mounted import Mounted
from swrepo.mount.report import resident_memory
from swrepo.net.remote import RemoteRepository
from swrepo.system import usage
from swrepo.system.openmetrics import Exposition, Labels

_NAMES = {int(opcode): opcode.name.lower() for opcode in Opcode}


def metrics(mounted: Mounted, root: Path = Path("/")) -> str:
    """All of them, with the last line that the format wants. `root`: where the machine's own counters are kept."""
    found = Exposition()
    if (kept := usage.load(root)) is not None:
        found.of_usage(kept.boots, kept.up, kept.used)
    _of_the_process(found, mounted)
    _of_requests(found, mounted)
    accesses = list(mounted.accesses.values())
    _of_repositories(found, accesses)
    _of_servers(found, accesses)
    _of_caches(found, accesses)
    return found.text


def _of_the_process(found: Exposition, mounted: Mounted) -> None:
    labels = {"version": __version__, "mountpoint": mounted.request.mountpoint}
    found.info("swrepo_mount", "The mount.", [labels])
    found.gauge(
        "swrepo_uptime_seconds", "Since the serving process began.", [({}, mounted.process.uptime())], "seconds"
    )
    found.gauge("swrepo_resident_bytes", "Memory of the serving process.", [({}, resident_memory())], "bytes")
    descriptors = len(os.listdir("/proc/self/fd"))
    found.gauge("swrepo_descriptors", "Descriptors that are open.", [({}, descriptors)])
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    found.gauge("swrepo_descriptors_limit", "Descriptors that may be open.", [({}, limit)])


def _of_requests(found: Exposition, mounted: Mounted) -> None:
    session, latencies, ledger = mounted.session, mounted.process.latencies, mounted.adapter.ahead.ledger
    requests = [({"kind": name.lower()}, count) for name, count in session.requests().items()]
    found.counter("swrepo_requests", "Requests of the kernel.", requests)
    failures = [({"error": errno.errorcode.get(number, str(number))}, n) for number, n in dict(session.errors).items()]
    found.counter("swrepo_failures", "Requests that were answered with an error.", failures)
    samples = []
    for opcode in latencies.opcodes():
        histogram = latencies.of(opcode)
        samples.append(({"kind": _NAMES.get(opcode, str(opcode))}, histogram.counts, histogram.seconds))
    meaning = "Answers that had to wait for something to be fetched or opened."
    found.histogram("swrepo_waits_seconds", meaning, BOUNDS, samples, "seconds")
    found.counter("swrepo_files_opened", "Files that were opened and read.", [({}, mounted.vfs.opened)])
    ahead = [({"origin": origin.value}, one) for origin, one in ledger.counters().items()]
    fetched = [(labels, one.fetched) for labels, one in ahead]
    found.counter("swrepo_ahead_fetched", "Objects that were fetched ahead, by who guessed them.", fetched)
    found.counter("swrepo_ahead_used", "Those that were used then.", [(labels, one.used) for labels, one in ahead])
    fetched = [(labels, one.fetched_bytes) for labels, one in ahead]
    found.counter("swrepo_ahead_fetched_bytes", "Plain bytes of what was fetched ahead.", fetched, "bytes")
    used = [(labels, one.used_bytes) for labels, one in ahead]
    found.counter("swrepo_ahead_used_bytes", "Plain bytes of what was used then.", used, "bytes")


def _repository(access: Access) -> Labels:
    return {"repository": access.fqrn}


def _of_repositories(found: Exposition, accesses: list[Access]) -> None:
    revisions = [(_repository(access), access.revision.number) for access in accesses]
    found.gauge("swrepo_revision", "The revision that is shown.", revisions)
    published = [(_repository(one), one.revision.tree.root.last_modified) for one in accesses]
    found.gauge("swrepo_revision_timestamp_seconds", "When it was published.", published, "seconds")
    expiries = [(_repository(one), int(one.valid_until.timestamp())) for one in accesses if one.valid_until is not None]
    meaning = "When the whitelist expires, after which no new revision is believed."
    found.gauge("swrepo_whitelist_expires_timestamp_seconds", meaning, expiries, "seconds")
    catalogs = [(_repository(access), len(access.revision.tree.loaded())) for access in accesses]
    found.gauge("swrepo_catalogs_open", "Catalogs that are open.", catalogs)


def _of_servers(found: Exposition, accesses: list[Access]) -> None:
    remotes = [
        (_repository(access), access.documents) for access in accesses if isinstance(access.documents, RemoteRepository)
    ]
    traffic = [(labels, remote.traffic) for labels, remote in remotes]
    found.counter("swrepo_responses", "Answers of servers.", [(labels, one.responses) for labels, one in traffic])
    received = [(labels, one.received_bytes) for labels, one in traffic]
    found.counter("swrepo_received_bytes", "What came from servers.", received, "bytes")
    seconds = [(labels, one.seconds) for labels, one in traffic]
    found.counter("swrepo_transfer_seconds", "How long it took, of all transfers.", seconds, "seconds")
    found.counter("swrepo_failed_tries", "Tries that failed.", [(labels, one.failed) for labels, one in traffic])
    failovers = [({**labels, "to": "server"}, one.other_server) for labels, one in traffic]
    failovers += [({**labels, "to": "proxy"}, one.other_proxy) for labels, one in traffic]
    found.counter("swrepo_failovers", "Changes to another server or proxy after a failure.", failovers)
    routes = [(labels, remote.routes.current()) for labels, remote in remotes]
    used = [{**labels, "server": route.server, "proxy": route.proxy or "DIRECT"} for labels, route in routes]
    found.info("swrepo_route", "Server and proxy in use.", used)


def _of_caches(found: Exposition, accesses: list[Access]) -> None:
    """By repository, what was asked for; by directory, which several may share, what it holds."""
    counters = [(_repository(access), access.cache.counters) for access in accesses]
    hits = [(labels, one.hits) for labels, one in counters]
    found.counter("swrepo_cache_hits", "Objects that were in the cache.", hits)
    found.counter(
        "swrepo_cache_misses", "Objects that were fetched.", [(labels, one.fetched) for labels, one in counters]
    )
    fetched = [(labels, one.fetched_bytes) for labels, one in counters]
    found.counter("swrepo_cache_fetched_bytes", "Their bytes, unpacked.", fetched, "bytes")
    found.counter(
        "swrepo_cache_failures", "Objects that did not come.", [(labels, one.failed) for labels, one in counters]
    )
    unkept = [(labels, one.unkept) for labels, one in counters]
    found.counter("swrepo_cache_unkept", "Objects that were fetched and not kept.", unkept)
    quotas = {str(access.cache.root): access.cache.quota for access in accesses}
    limited = [({"cache": root}, quota.counters) for root, quota in quotas.items() if quota is not None]
    found.gauge(
        "swrepo_cache_used_bytes", "What the cache holds.", [(root, one.used) for root, one in limited], "bytes"
    )
    found.gauge("swrepo_cache_limit_bytes", "What it may hold.", [(root, one.limit) for root, one in limited], "bytes")
    found.counter("swrepo_cache_cleanups", "Times that it was full.", [(root, one.cleanups) for root, one in limited])
    found.counter("swrepo_cache_evicted", "Objects that had to go.", [(root, one.evicted) for root, one in limited])
