"""What `swrepo publish` and `swrepo server publish` share: the options, the work, and what is said in the end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.describe import printable
from swrepo.cli.output import note, size_text, write_json
from swrepo.cli.progress import Progress
from swrepo.cli.touched import add_changed_arguments
from swrepo.errors import Busy, UsageError

if TYPE_CHECKING:
    from swrepo.publish.changed import Touched
    from swrepo.publish.layout import RepositoryPlaces, ServerLayout
    from swrepo.publish.outcome import Outcome
    from swrepo.publish.seal import TagRequest
    from swrepo.publish.settings import Choices
    from swrepo.publish.transaction import Publisher


def add_publish_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a publication."""
    parser.add_argument("-a", dest="tag", default="", metavar="TAG", help="a name for the new revision")
    parser.add_argument("-m", dest="message", default="", metavar="TEXT", help="what the tag is about")
    add_content_arguments(parser)
    parser.add_argument("-n", dest="revision", type=int, metavar="N", help="the number of the new revision")
    parser.add_argument(
        "-p", dest="pause", action="store_true", help="show where each new catalog is, and wait, before it is stored"
    )
    parser.add_argument("-f", dest="force", action="store_true", help="although the view is in use: as in any case")
    parser.add_argument("-c", dest="channel", help=argparse.SUPPRESS)  # channels of tags are gone, as in CernVM-FS
    add_changed_arguments(parser)


def add_content_arguments(parser: argparse.ArgumentParser) -> None:
    """Those about what is published, and how that is told."""
    parser.add_argument("-v", dest="verbose", action="store_true", help="list every change")
    parser.add_argument("-Z", dest="compression", choices=("default", "zlib", "none"), help="of what is new this time")
    parser.add_argument("-X", dest="external", action="store_true", default=None, help="contents are not stored")
    parser.add_argument("-N", dest="external", action="store_false", help="contents are stored")
    parser.add_argument("-F", dest="readers", metavar="FILE", help="who may read from now on (VOMS), from FILE")
    parser.add_argument(
        "--skip-unreadable",
        dest="skip_unreadable",
        action="store_true",
        help="leave what cannot be read as it was in the last revision, and name it, instead of publishing nothing",
    )
    parser.add_argument(
        "--json", action="store_true", help="a JSON document; the progress as lines of JSON on standard error"
    )


def publish(args: argparse.Namespace, repository: str | None, source: Path | None) -> None:
    """Publish the directory `source`, or the work tree, and say what that made."""
    from swrepo.cli import server_side
    from swrepo.cli.touched import touched_by

    server = server_side.layout()
    fqrn = server_side.which(server, repository)
    touched = touched_by(args, source or server.repository(fqrn).worktree)
    publish_changes(args, fqrn, source, touched, args.tag, args.message)


def publish_changes(
    args: argparse.Namespace, fqrn: str, source: Path | None, touched: Touched | None, tag: str = "", message: str = ""
) -> None:
    """The same of what is `touched`; None: of everything."""
    from swrepo.cli import server_side
    from swrepo.cli.recording import recorded
    from swrepo.publish.hooks import Hook, hooks_around
    from swrepo.publish.seal import TagRequest
    from swrepo.publish.transaction import Publisher

    server = server_side.layout()
    places = server.repository(fqrn)
    listing = server_side.Listing(everything=True) if args.verbose and not args.json else None
    around = hooks_around(server, Hook.PUBLISH_BEFORE, Hook.PUBLISH_AFTER, fqrn)
    with (
        around,
        recorded(places, listing, quiet=args.json) as recorder,
        Progress("publishing", "files", as_events=args.json) as progress,
    ):
        tweak = _wait_for_tweaks if getattr(args, "pause", False) else None
        publisher = Publisher(server, progress, recorder, choices=_choices(args), tweak=tweak)
        outcome = _published(publisher, places, source, TagRequest(tag, message), touched)
        recorder.outcome = outcome
    server_side.note_what_was_found(outcome)
    if args.json:
        write_json(server_side.outcome_record(fqrn, outcome))
    elif not outcome.published:
        called = f", and called {tag} now" if tag else ""
        print(f"{fqrn}: nothing changed; revision {outcome.revision} is still the newest{called}")
    else:
        print(f"{fqrn}: published revision {outcome.revision}: {server_side.counts(outcome)}")
    after_publication(server, fqrn, outcome, quiet=args.json)


def _published(
    publisher: Publisher, places: RepositoryPlaces, source: Path | None, tag: TagRequest, touched: Touched | None
) -> Outcome:
    if source is None:
        from swrepo.cli import entered, transactions

        view = entered.changes(places.fqrn)
        if view is not None:
            return publisher.publish(places.fqrn, view[0], tag, view[1])
        if transactions.union_of(places).is_used:
            return transactions.publish(publisher, places.fqrn, tag)
    return publisher.publish(places.fqrn, source, tag, touched)


def _choices(args: argparse.Namespace) -> Choices:
    """What is decided for this publication alone."""
    from swrepo.publish.settings import COMPRESSIONS, Choices

    return Choices(
        compression=None if args.compression is None else COMPRESSIONS[args.compression],
        external=args.external,
        skip_unreadable=args.skip_unreadable,
        voms_authz=None if args.readers is None else Path(args.readers).read_text("utf-8").strip(),
        revision=getattr(args, "revision", None),
    )


def _wait_for_tweaks(mountpoint: bytes, catalog: Path) -> None:
    """The catalog is a database that may be changed now, if whoever does it knows the format."""
    print(f"the catalog of {printable(mountpoint) or '/'} is in {catalog}; Return goes on", file=sys.stderr, flush=True)
    if not sys.stdin.readline():
        raise UsageError("-p: nobody is here to press Return")


def after_publication(server: ServerLayout, fqrn: str, outcome: Outcome, *, quiet: bool) -> None:
    """What `after_change` does, as far as it can be of use: each look at a repository takes its time."""
    from swrepo.publish import settings

    wanted = settings.load(server.repository(fqrn).server_conf)
    if wanted.virtual_dir or outcome.has_snapshots:
        after_change(server, fqrn, quiet=quiet)
    elif wanted.auto_gc:
        collect_automatically(server, fqrn, quiet=quiet)


def after_change(server: ServerLayout, fqrn: str, *, quiet: bool) -> None:
    """What follows on each change of revisions or tags, where the settings ask for it."""
    from swrepo.publish import settings
    from swrepo.upkeep.opening import Keeper
    from swrepo.upkeep.snapshots import refresh

    revision = refresh(Keeper(server), fqrn)
    if revision is not None and not quiet:
        wanted = settings.load(server.repository(fqrn).server_conf).virtual_dir
        print(f"{fqrn}: revision {revision} {'shows' if wanted else 'does not show'} the tags in .cvmfs/snapshots")
    collect_automatically(server, fqrn, quiet=quiet)


def collect_automatically(server: ServerLayout, fqrn: str, *, quiet: bool) -> None:
    """Remove old revisions, where the repository's settings ask for that from time to time."""
    from swrepo.upkeep.automatic import collect_if_due
    from swrepo.upkeep.opening import Keeper

    try:
        with Progress("collecting", "objects") as progress:
            found = collect_if_due(Keeper(server), fqrn, progress)
    except Busy as error:
        note(f"the automatic garbage collection waits for the next publication: {error}")
        return
    if found is not None and not quiet:
        print(f"{fqrn}: removed {found.objects:,} objects of old revisions, {size_text(found.size)}")
