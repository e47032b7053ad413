"""`cvmfs_config chksetup`: what would keep repositories from being mounted or read, a line for each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from swrepo.cli.administration.tending import cache_directories, which
from swrepo.cli.configured import full_name, general, settings
from swrepo.cli.places import Places
from swrepo.config.parameters import ClientParameters, interpret, warnings
from swrepo.errors import ConfigError, SwrepoError
from swrepo.system.user import is_root

_DEVICE = "/dev/fuse"
_SMALL_CACHE = 1000 << 20


def chksetup(_words: Sequence[str], places: Places) -> int:
    """`Error: ...` and `Warning: ...` lines, or OK; 1 where there is an error."""
    found = [*_machine(places)]
    try:
        parameters = general(places)
    except ConfigError as error:
        found.append(f"Error: {error}")
    else:
        for name in parameters.repositories:
            found += _repository(full_name(name, places), places)
        if not parameters.repositories:
            found.append("Warning: CVMFS_REPOSITORIES is empty, so no repository was checked")
    for line in found or ["OK"]:
        print(line)
    return int(any(line.startswith("Error") for line in found))


def _machine(places: Places) -> Iterator[str]:
    if not os.path.exists(_DEVICE):
        yield f"Error: {_DEVICE} is missing: load the kernel's module (modprobe fuse)"
    elif not os.access(_DEVICE, os.R_OK | os.W_OK):
        yield f"Error: {_DEVICE} cannot be opened by this user (chmod 666 {_DEVICE})"
    if not is_root() and which("fusermount3") is None:
        yield "Error: fusermount3 is missing, and only root can mount without it (install fuse3)"
    if which("mount.cvmfs") is None:
        yield "Warning: mount.cvmfs is not among root's programs, so mount(8) and autofs do not find it"
    for directory in cache_directories(places):
        nearest = next(path for path in (directory, *directory.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            yield f"Error: the cache directory {directory} cannot be written by this user"


def _repository(fqrn: str, places: Places) -> Iterator[str]:
    try:
        found = settings(fqrn, places)
        parameters = interpret(found)
    except SwrepoError as error:
        yield f"Error: {fqrn}: {error}"
        return
    yield from (f"Warning: {sentence}" for sentence in warnings(found))
    yield from _limits(fqrn, parameters)
    from swrepo.cli.opening import access_request
    from swrepo.client.access import open_access
    from swrepo.client.opening import sources
    from swrepo.client.selection import Given, select
    from swrepo.client.target import Target

    try:
        with open_access(access_request(select(Target(None, fqrn, b""), Given(), places, sources(places)))):
            pass
    except SwrepoError as error:
        yield f"Error: {fqrn}: {error}"


def _limits(fqrn: str, parameters: ClientParameters) -> Iterator[str]:
    if parameters.quota_limit is not None and parameters.quota_limit < _SMALL_CACHE:
        yield f"Warning: the cache limit for {fqrn} is very low ({parameters.quota_limit >> 20} MB)"
    for path in (parameters.log.file, parameters.log.debug_file):
        if path is not None and not os.access(os.path.dirname(path) or ".", os.W_OK):
            yield f"Error: the log {path} cannot be written"
    if parameters.log.debug_file is not None:
        yield f"Warning: CVMFS_DEBUGLOG is on for {fqrn}"
