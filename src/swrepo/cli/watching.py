"""`swrepo server watch`: a tree is published whenever it has changed and rests."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from swrepo.cli import publishing, server_side, transactions
from swrepo.cli.output import note
from swrepo.errors import SwrepoError, UsageError
from swrepo.publish.pacing import Pacing
from swrepo.publish.tree_watch import TreeWatch
from swrepo.system.inotify import Inotify
from swrepo.system.service_manager import ADDRESS_VARIABLE, tell_ready

_HOUR = 3600.0


def watch(args: argparse.Namespace) -> None:
    """Publish the tree, and whatever changes in it from then on; until it is told to stop."""
    signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # it may be a log that somebody reads
    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    places = server.repository(fqrn)
    source = Path(args.source) if args.source else None
    if source is None and transactions.union_of(places).is_used:
        raise UsageError(f"the work tree of {fqrn} is a view that transactions open; watch a directory: --source DIR")
    top = os.path.realpath(source or places.worktree)
    pacing = Pacing(args.quiet, max(args.at_most, args.quiet), everything=args.everything * _HOUR)
    with Inotify() as notices:
        tree = TreeWatch(os.fsencode(top), notices)
        tree.start()
        print(f"{fqrn}: watching {tree.directories:,} directories of {top}")
        _publish(args, fqrn, source, tree, pacing)
        tell_ready(os.environ.get(ADDRESS_VARIABLE))
        while True:
            _await(notices, tree, pacing)
            try:
                _publish(args, fqrn, source, tree, pacing)
            except SwrepoError as error:
                note(f"{fqrn}: {error}; tried again in {pacing.retry:.0f} seconds")
                pacing.failed(time.monotonic())


def _await(notices: Inotify, tree: TreeWatch, pacing: Pacing) -> None:
    """Until something is to be published."""
    while (left := pacing.wait(time.monotonic())) is None or left > 0:
        select.select([notices], [], [], left)
        if tree.look():
            pacing.changed(time.monotonic())


def _publish(args: argparse.Namespace, fqrn: str, source: Path | None, tree: TreeWatch, pacing: Pacing) -> None:
    changes = tree.take()
    changes.everything = changes.everything or pacing.wants_everything(time.monotonic())
    try:
        publishing.publish_changes(args, fqrn, source, changes.touched)
    except SwrepoError:
        tree.give_back(changes)
        raise
    pacing.published(time.monotonic(), everything=changes.everything)


def _stop(*_: object) -> NoReturn:
    """A publication that is under way leaves the last revision as it was."""
    raise SystemExit(0)
