"""Everything that is to be looked at for one call of `swrepo doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from swrepo.cli.administration.tending import cache_directories
from swrepo.cli.configured import general
from swrepo.cli.diagnosis import caches, configuration, machine, mounts, repositories, served
from swrepo.cli.diagnosis.finding import Finding
from swrepo.cli.diagnosis.strands import Strand, run
from swrepo.cli.diagnosis.subject import configured, subject
from swrepo.cli.places import Places, current
from swrepo.cli.selection import overrides
from swrepo.client.selection import Given
from swrepo.errors import SwrepoError


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """The findings, as they come. UsageError where the subject makes no sense."""
    places = current()
    given = Given(
        keys=tuple(Path(key) for key in args.key),
        cache=Path(args.cache) if args.cache else None,
        settings=overrides((), args.proxy),
    )
    about = subject(args.subject, places)
    names = {target.fqrn for target in about.targets if target.fqrn and target.url is None} | set(configured(places))
    strands = [
        Strand("kernel", "the kernel", machine.kernel),
        Strand("fusermount3", "fusermount3", machine.helper),
        Strand("namespaces", "user namespaces", machine.namespaces),
        Strand("configuration", "the configuration", partial(configuration.configuration, sorted(names), places)),
        Strand("keys", "the trusted keys", partial(configuration.keys, places)),
        *_caches(given, places),
        Strand("mounts", "the mounts", partial(mounts.mounts, places)),
        Strand("server", "the repositories of this server", partial(served.served, places)),
        Strand("sockets", "the control sockets", partial(mounts.control_sockets, places)),
    ]
    if about.server is not None:
        strands += repositories.server(about.server, given, places)
    for target in about.targets:
        strands += repositories.repository(target, given, places)
    return run(strands)


def _caches(given: Given, places: Places) -> list[Strand]:
    try:
        limit = general(places).quota_limit
        directories = [given.cache] if given.cache is not None else cache_directories(places)
    except SwrepoError:  # the configuration is to blame, and has lines of its own
        return []
    return [Strand("cache", str(path), partial(caches.cache, path, limit)) for path in directories]
