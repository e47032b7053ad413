"""Make a profile of traces and publish it: then opening a program's first file fetches all that it opens next.

The profile is written into the repository's work tree, below .swrepo, and that is published, without whatever else was
changed in the work tree. Files that later change are found by their paths; 'swrepo profile update' packs them anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from swrepo.cli.output import note, write_json
from swrepo.errors import UsageError

EXAMPLE = """swrepo profile add dair.cvmfs.server numpy --from numpy.trace
swrepo profile add dair.cvmfs.server compile --from one.trace two.trace --trigger /bin/gcc --share 1"""

_KIB = 1024


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="NAME", help="a repository of this server")
    parser.add_argument("profile", metavar="PROFILE", help="what the profile is to be called")
    help_from = "traces that 'swrepo trace' wrote"
    parser.add_argument("--from", dest="traces", nargs="+", required=True, metavar="TRACE", help=help_from)
    help_trigger = (
        "the file whose opening starts it (repeatable; default: the first in the first trace); of a module.py, what "
        "Python compiled of it"
    )
    parser.add_argument("--trigger", action="append", default=[], metavar="PATH", help=help_trigger)
    help_share = "leave out what fewer of the traces open, as a share of them (default: 0.5)"
    parser.add_argument("--share", type=float, default=0.5, metavar="SHARE", help=help_share)
    help_no_pack = "list files only: they travel one by one, and the repository does not grow"
    parser.add_argument("--no-pack", action="store_true", help=help_no_pack)
    help_largest = "objects of more stored KiB than this are not packed (default: 128)"
    parser.add_argument("--largest", type=int, default=128, metavar="KIB", help=help_largest)
    parser.add_argument("--pack", type=int, default=1024, metavar="KIB", help="stored KiB of a pack (default: 1024)")
    parser.add_argument("--no-publish", action="store_true", help="only write it into the work tree")
    help_into = "write it, without packs, for the CVMFS_PROFILES_DIR of a node or site; needs no server"
    parser.add_argument("--into", metavar="DIR", help=help_into)
    parser.add_argument("--json", action="store_true", help="a JSON document")


def run(args: argparse.Namespace) -> None:
    from swrepo.cli import profiling
    from swrepo.format import profile
    from swrepo.publish import profiles as making

    if not profile.is_name(args.profile):
        raise UsageError(f"{args.profile!r} cannot be a profile's name: letters, digits and ._+- make one")
    if not 0 < args.share <= 1:
        raise UsageError("--share is more than 0 and not more than 1")
    if args.into is not None:
        _write_for_a_node(args)
        return
    from swrepo.cli import profile_publication as publication
    from swrepo.cli import server_side

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    places = server.repository(fqrn)
    traces = profiling.traces(args.traces, fqrn)
    limits = making.PackLimits(0 if args.no_pack else args.largest * _KIB, args.pack * _KIB)
    with profiling.published(places) as (revision, stored):
        files, catalogs = making.merged(traces, args.share)
        triggers = profiling.triggers(args.trigger, files, traces, fqrn, revision)
        made = making.make(revision, stored, triggers, making.from_first(files, triggers), catalogs, limits)
    for path, reason in made.left_out.items():
        note(f"left out {path.decode('utf-8', 'backslashreplace')}: {reason}")

    def write(worktree: Path) -> None:
        making.write(worktree, args.profile, made)

    revision_number = None
    if args.no_publish:
        publication.written(server, fqrn, write)
    else:
        revision_number = publication.published(server, fqrn, write).revision
    _tell(args, profiling.sentence(made.profile, made.packs), len(made.profile.files), len(made.packs), revision_number)


def _write_for_a_node(args: argparse.Namespace) -> None:
    from swrepo.cli import profiling
    from swrepo.format import profile
    from swrepo.publish import profiles as making

    traces = profiling.traces(args.traces, args.repository)
    files, catalogs = making.merged(traces, args.share)
    triggers = profiling.triggers(args.trigger, files, traces, args.repository, None)
    made = making.without_objects(triggers, making.from_first(files, triggers), catalogs)
    path = Path(args.into) / args.repository / f"{args.profile}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(profile.encode(made))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    _tell(args, f"{path}: {profiling.sentence(made, [])}", len(made.files), 0, None)


def _tell(args: argparse.Namespace, sentence: str, files: int, packs: int, revision: int | None) -> None:
    if args.json:
        write_json({"profile": args.profile, "files": files, "packs": packs, "revision": revision})
        return
    print(f"{args.profile}: {sentence}")
    if revision is not None:
        print(f"{args.repository}: published revision {revision}")
