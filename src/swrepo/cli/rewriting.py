"""What commands that change every catalog of a repository, once somebody has agreed to it, have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from swrepo.cli.arguments import add_repository_argument

if TYPE_CHECKING:
    from swrepo.upkeep.opening import Keeper
    from swrepo.upkeep.rewriting import Rewritten


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of such a command."""
    add_repository_argument(parser)
    parser.add_argument("-f", dest="force", action="store_true", help="do not ask")


def rewrite(args: argparse.Namespace, what: str, change: Callable[[Keeper, str], Rewritten]) -> int:
    """Ask whether to do `what` to the repository, do it by `change`, and tell; the exit code."""
    from swrepo.cli import server_side
    from swrepo.cli.confirming import confirm
    from swrepo.upkeep.opening import Keeper

    server = server_side.layout()
    fqrn = server_side.which(server, args.repository)
    if not args.force and not confirm(f"{what} {fqrn}"):
        return 1
    server_side.tell_rewritten(server, fqrn, change(Keeper(server), fqrn))
    return 0
