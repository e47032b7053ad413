"""What `ingest` and `ingest-image` share: owners, files, the publication, and what is said of it."""

from __future__ import annotations

import argparse
import grp
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from swrepo.cli import publishing, server_side, transactions
from swrepo.cli.describe import printable
from swrepo.cli.output import note, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.recording import recorded
from swrepo.errors import InTransaction, NotFound, UsageError
from swrepo.publish import settings
from swrepo.publish.archive import Owner
from swrepo.publish.gathering import Bring
from swrepo.publish.hooks import Hook, hooks_around
from swrepo.publish.ingestion import Ingestion
from swrepo.publish.layout import RepositoryPlaces, ServerLayout
from swrepo.publish.outcome import Outcome
from swrepo.publish.seal import TagRequest
from swrepo.publish.transaction import Publisher


def check_ingest_options(args: argparse.Namespace) -> None:
    """UsageError for options that contradict each other. Source: the original's."""
    if args.archive is None and args.base is None and not args.deletes:
        raise UsageError("nothing to do: -t FILE -b DIR unpacks an archive, -d PATH deletes")
    if args.archive is None and args.base is not None:
        raise UsageError("-b names a directory for an archive, and none is given (-t FILE; '-t -' is standard input)")
    if args.archive is not None and args.base is None:
        raise UsageError("where in the repository? Name a directory (-b DIR; '-b /' is the top)")
    if args.keep and (args.user is not None or args.group is not None):
        raise UsageError("either keep the archive's owners (-k) or give others (-u, -g)")
    if args.group is not None and args.user is None:
        raise UsageError("-g needs -u: name a user too")


def owner_of(args: argparse.Namespace, places: RepositoryPlaces) -> Owner | None:
    """Whom everything shall belong to; None keeps the archive's owners."""
    if args.keep:
        return None
    name = args.user if args.user is not None else settings.load(places.server_conf).owner
    uid, gid = _user(name)
    return Owner(uid, gid if args.group is None else _group(args.group))


def _user(name: str) -> tuple[int, int]:
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
        return found.pw_uid, found.pw_gid
    except KeyError as error:
        if name.isdigit():
            return int(name), int(name)
        raise NotFound(f"there is no user {name} on this machine; name another one (-u), or its number") from error


def _group(name: str) -> int:
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise NotFound(f"there is no group {name} on this machine; name another one (-g), or its number") from error


@contextmanager
def opened(name: str | None) -> Iterator[BinaryIO | None]:
    """The archive of that name, open. NotFound, UsageError."""
    if name is None:
        yield None
    elif name == "-":
        if sys.stdin.isatty():
            raise UsageError("the archive shall come from standard input, which is a terminal; pipe one into it")
        yield sys.stdin.buffer
    else:
        try:
            file = open(name, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError as error:
            raise NotFound(f"the archive {name} does not exist") from error
        except OSError as error:
            raise UsageError(f"cannot read the archive {name}: {error.strerror}") from error
        with file:
            yield file


def publish(args: argparse.Namespace, server: ServerLayout, fqrn: str, bring: Bring, owner: Owner | None) -> Outcome:
    """Publish what `bring` gathers, and say what that made. InTransaction where one is open."""
    places = server.repository(fqrn)
    if transactions.union_of(places).is_open:
        raise InTransaction(f"a transaction of {fqrn} is open; publish or abort it first")
    listing = server_side.Listing(everything=True) if args.verbose and not args.json else None
    with (
        hooks_around(server, Hook.PUBLISH_BEFORE, Hook.PUBLISH_AFTER, fqrn),
        recorded(places, listing, quiet=args.json) as recorder,
        Progress("storing", "files", as_events=args.json) as progress,
    ):
        publisher = Publisher(server, progress, recorder)
        outcome = publisher.publish_archives(fqrn, bring, owner, TagRequest(args.tag, args.message))
        recorder.outcome = outcome
    transactions.renew_view(server, fqrn)
    server_side.note_what_was_found(outcome)
    if args.json:
        write_json(server_side.outcome_record(fqrn, outcome))
    elif not outcome.published:
        print(f"{fqrn}: nothing changed; revision {outcome.revision} is still the newest")
    else:
        print(f"{fqrn}: published revision {outcome.revision}: {server_side.counts(outcome)}")
    publishing.after_change(server, fqrn, quiet=args.json)
    return outcome


def note_about(ingestion: Ingestion) -> None:
    """What an archive's owner should know."""
    for path in ingestion.missing:
        note(f"{printable(path)} was not there to be deleted")
    if ingestion.has_more:
        note("something follows the archive's end and was left out; is it another archive? ('tar -A' joins them)")
