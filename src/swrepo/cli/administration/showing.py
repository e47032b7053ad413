"""`cvmfs_config showconfig`, `status`, `stat`: in the original's columns, which scripts read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from swrepo.cli.administration.live import LiveMount, live_mounts
from swrepo.cli.configured import full_name, general, settings
from swrepo.cli.places import Places
from swrepo.cli.selection import SHARED_CACHE
from swrepo.config.files import Setting
from swrepo.config.parameters import interpret
from swrepo.config.table.client import TABLE
from swrepo.errors import UsageError
from swrepo.format.wellknown import MANIFEST

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_LINE = re.compile(r":\d+$")
_COLUMNS = (
    "VERSION PID UPTIME(M) MEM(K) REVISION EXPIRES(M) NOCATALOGS CACHEUSE(K) CACHEMAX(K) NOFDUSE NOFDMAX NOIOERR "
    "NOOPEN HITRATE(%) RX(K) SPEED(K/S) HOST PROXY ONLINE"
)


def showconfig(words: Sequence[str], places: Places) -> int:
    """Every parameter of a repository, with the file that set it; `-s` leaves out those that nothing sets."""
    names = [word for word in words if word != "-s"]
    is_short = "-s" in words
    if not names:
        for name in general(places).repositories:
            print(f"\nRunning cvmfs_config {'-s ' if is_short else ''}{name}:")
            _show(full_name(name, places), places, is_short=is_short)
        return 0
    if len(names) > 1:
        raise UsageError("cvmfs_config showconfig takes one repository")
    _show(full_name(names[0], places), places, is_short=is_short)
    return 0


def _show(fqrn: str, places: Places, *, is_short: bool) -> None:
    found = settings(fqrn, places)
    parameters = interpret(found)
    base = parameters.cache_base or str(places.cache_base)
    directory = parameters.cache_directory or f"{base}/{SHARED_CACHE if parameters.shared_cache else fqrn}"
    known = {row.name for row in TABLE if "*" not in row.name}
    print(f"CVMFS_REPOSITORY_NAME={fqrn}")
    for name in sorted(known | {name for name in found if name.startswith("CVMFS_")} | {"CVMFS_CACHE_DIR"}):
        if name == "CVMFS_CACHE_DIR":
            print(f"{name}={directory}")
        elif name in found:
            print(f"{name}={_shell_word(found[name])}    # from {_LINE.sub('', found[name].origin)}")
        elif not is_short:
            print(f"{name}=")


def _shell_word(setting: Setting) -> str:
    value = setting.value
    return value if _PLAIN.fullmatch(value) else "'" + value.replace("'", "'\\''") + "'"


def status(_words: Sequence[str], places: Places) -> int:
    """A line for each repository in use; 1 where a mount does not answer."""
    code = 0
    for mount in live_mounts(places):
        if mount.state is None:
            print(f"mountpoint {mount.mountpoint} inaccessible")
            code = 1
        for directory, repository in mount.repositories():
            print(f"{repository['fqrn']} mounted on {directory} with pid {(mount.state or {})['pid']}")
    return code


def stat(words: Sequence[str], places: Places) -> int:
    """Figures of one repository, or of all in use; `-v` with words."""
    names = [word for word in words if word != "-v"]
    in_use = [(mount, repository) for mount in live_mounts(places) for _, repository in mount.repositories()]
    if not names:
        for mount, repository in in_use:
            print(f"\nRunning cvmfs_config stat {repository['fqrn']}:")
            _figures(mount, repository, in_words="-v" in words)
        return 0
    fqrn = full_name(names[0], places)
    for mount, repository in in_use:
        if repository["fqrn"] == fqrn:
            _figures(mount, repository, in_words="-v" in words)
            return 0
    print(f"{fqrn} not mounted")
    return 1


def _is_online(server: str, proxy: str) -> bool:
    """Whether the server answers now; as the original, stat asks it."""
    from contextlib import closing

    from swrepo.errors import Unreachable
    from swrepo.net.http import HttpClient

    if server.startswith("file:"):
        return True
    try:
        with closing(HttpClient()) as client:
            route = None if proxy == "DIRECT" else proxy
            with client.stream(f"{server}/{MANIFEST}", route) as response:
                return response.status == 200
    except Unreachable:
        return False


def _figures(mount: LiveMount, repository: dict[str, Any], *, in_words: bool) -> None:
    state = mount.state or {}
    requests = state["requests"]
    used, limit = repository["cache_used"] or 0, repository["cache_limit"] or 0
    received, seconds = repository.get("received", 0), max(1, state["uptime"])
    asked = repository["hits"] + repository["fetched"]
    figures = {
        "version": state["version"],
        "pid": state["pid"],
        "uptime": state["uptime"] // 60,
        "memory": state["memory"] >> 10,
        "revision": repository["revision"],
        "expires": repository["ttl"] // 60,
        "catalogs": repository["catalogs"],
        "used": used >> 10,
        "limit": limit >> 10,
        "descriptors": state["descriptors"],
        "descriptor_limit": state["descriptor_limit"],
        "errors": repository["failed"],
        "opened": requests.get("READ", 0),
        "hitrate": f"{100 * repository['hits'] / asked if asked else 0:.3f}",
        "received": received >> 10,
        "speed": (received >> 10) // seconds,
        "host": repository["host"],
        "proxy": repository["proxy"],
        "online": int(_is_online(repository["host"], repository["proxy"])),
    }
    if not in_words:
        print(_COLUMNS)
        print(*figures.values())
        return
    print(f"Version: {figures['version']}")
    print(f"PID: {figures['pid']}")
    print(f"Uptime: {figures['uptime']} minutes")
    print(f"Memory Usage: {figures['memory']}k")
    print(f"File Catalog Revision: {figures['revision']} (expires in {figures['expires']} minutes)")
    print(f"File Catalog ID: {repository['root_hash']}")
    print(f"No. Active File Catalogs: {figures['catalogs']}")
    print(f"Cache Usage: {figures['used']}k / {figures['limit']}k")
    print(f"File Descriptor Usage: {figures['descriptors']} / {figures['descriptor_limit']}")
    print("No. Open Directories: 0")
    print(f"No. IO Errors: {figures['errors']}")
    line = "online" if figures["online"] else "offline"
    print(f"Connection: {figures['host']} through proxy {figures['proxy']} ({line})")
    print(f"Usage: {figures['opened']} open() calls (hitrate {figures['hitrate']}%), 0 opendir() calls")
    print(f"Transfer Statistics: {figures['received']}k read, avg. speed: {figures['speed']}k/s")
    if ahead := state.get("ahead"):
        print(f"Fetched Ahead: {ahead['fetched']} objects, {ahead['used']} of them used, {ahead['wasted']} not yet")
