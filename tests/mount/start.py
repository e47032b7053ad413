"""Starts a mount as a program of its own: `python start.py JSON`. What `swrepo mount` does, with a clock that we set.

`clock` is a time, or a file that holds one and may be rewritten while the mount is there.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

from swrepo.cache.plan import CachePlan
from swrepo.client.caches import cache_plan
from swrepo.client.request import AccessRequest
from swrepo.config.caches import cache_instance
from swrepo.config.files import Setting
from swrepo.config.network import NetworkParameters
from swrepo.errors import PathNotFound, SwrepoError
from swrepo.mount.learned import LearnedOptions
from swrepo.mount.start import MountRequest, mount
from swrepo.mount.watching import Telemetry, TraceOptions, Visibility, WatchOptions
from swrepo.net.http import Timeouts


def time_by(clock: str) -> datetime:
    return datetime.fromisoformat(Path(clock).read_text() if clock.startswith("/") else clock)


def access_request(given: dict, default_clock: str) -> AccessRequest:
    clock = given.get("clock", default_clock)
    return AccessRequest(
        urls=tuple(given["urls"]),
        keys=tuple(map(Path, given["keys"])),
        cache=Path(given["cache"]),
        fqrn=given.get("fqrn"),
        tag=given.get("tag"),
        root_hash=given.get("root_hash"),
        variables=given.get("variables", {}),
        origins=given.get("origins", {}),
        quota=given.get("quota"),
        caches=caches(given),
        timeouts=Timeouts(direct=given.get("timeout", 10.0)),
        max_retries=given.get("max_retries", 1),
        network=NetworkParameters(announcer=given.get("announcer")),
        clock=lambda: time_by(clock),
    )


def caches(given: dict) -> CachePlan | None:
    """What the parameters under `caches` describe; each cache of this host in its own `BASE`, or in `cache`."""
    if "caches" not in given:
        return None
    settings = {name: Setting(value, "the test") for name, value in given["caches"].items()}
    return cache_plan(cache_instance(settings), lambda cache: Path(cache.base or given["cache"]))


def watching(given: dict) -> WatchOptions:
    records = given.get("records")
    visibility = Visibility(
        given.get("listings", "rootonly"), frozenset(given.get("protected", ())), frozenset(given.get("privileged", ()))
    )
    telemetry = Telemetry(**given["telemetry"]) if "telemetry" in given else None
    trace = TraceOptions(**given["trace"]) if "trace" in given else None
    return WatchOptions(visibility, given.get("metrics"), Path(records) if records else None, telemetry, trace)


def main() -> int:
    given = json.loads(sys.argv[1])
    clock = given["clock"]

    def resolve(fqrn: str) -> AccessRequest:
        if fqrn not in given["repositories"]:
            raise PathNotFound(f"no repository {fqrn}")
        return access_request(given["repositories"][fqrn], clock)

    request = MountRequest(
        mountpoint=given["mountpoint"],
        repository=access_request(given, clock) if "urls" in given else None,
        resolve=resolve if "repositories" in given else None,
        foreground=given.get("foreground", False),
        allow_other=given.get("allow_other", False),
        passthrough=given.get("passthrough", False),
        suid=given.get("suid", False),
        dev=given.get("dev", False),
        control=Path(given["control"]),
        log=Path(given["log"]),
        deadline=given.get("deadline", 60.0),
        max_ttl=given.get("max_ttl"),
        watching=watching(given),
        listed=lambda: json.loads(Path(given["listed"]).read_text()) if "listed" in given else (),
        idle=given.get("idle", 600.0),
        prefetch=given.get("prefetch", True),
        fill=tuple(path.encode() for path in given.get("fill", ())),
        guesses=given.get("guesses", True),
        learned=LearnedOptions(
            given.get("profiles", True),
            Path(given["profiles_directory"]) if "profiles_directory" in given else None,
            given.get("bundles", True),
        ),
        clock=lambda: time_by(clock),
    )
    try:
        return mount(request)
    except SwrepoError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
