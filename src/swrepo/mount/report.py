"""The state of a mount as a JSON document, for `cvmfs_config stat` and `status`."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Mapping
from typing import Any

from swrepo import __version__
from swrepo.client.access import Access
from swrepo.net.remote import RemoteRepository

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def report(
    mountpoint: str,
    accesses: Mapping[str, Access],
    requests: Mapping[str, int],
    started: float,
    ahead: Mapping[str, Any],
) -> str:
    """One document: the process, and each repository in use. `started`: when, on the monotonic clock. `ahead`: what is
    told of fetching ahead.
    """
    return json.dumps(
        {
            "version": __version__,
            "mountpoint": mountpoint,
            "pid": os.getpid(),
            "uptime": int(time.monotonic() - started),
            "memory": resident_memory(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "requests": dict(requests),
            **ahead,
            "repositories": [_repository(name, access) for name, access in accesses.items()],
        }
    )


def _repository(name: str, access: Access) -> dict[str, Any]:
    quota = access.cache.quota
    counters = access.cache.counters
    found: dict[str, Any] = {
        "name": name,
        "fqrn": access.fqrn,
        "revision": access.revision.number,
        "root_hash": str(access.revision.root),
        "ttl": access.ttl,
        "published": access.revision.tree.root.last_modified or None,
        "whitelist_expires": access.valid_until.isoformat() if access.valid_until is not None else None,
        "catalogs": len(access.revision.tree.loaded()),
        "cache": str(access.cache.root),
        "cache_used": quota.counters.used if quota is not None else None,
        "cache_limit": quota.counters.limit if quota is not None else None,
        "hits": counters.hits,
        "fetched": counters.fetched,
        "failed": counters.failed,
        "host": access.request.urls[0],
        "proxy": "DIRECT",
    }
    if isinstance(access.documents, RemoteRepository):
        route, traffic = access.documents.routes.current(), access.documents.traffic
        found |= {"host": route.server, "proxy": route.proxy or "DIRECT", "received": traffic.received_bytes}
    return found


def resident_memory() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE
