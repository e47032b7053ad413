"""Make a file of its own of each name of a hard link, in a new revision. Contents stay shared."""

from __future__ import annotations

import argparse

from swrepo.cli import rewriting

EXAMPLE = "swrepo server eliminate-hardlinks -f dair.cvmfs.server"

configure = rewriting.configure


def run(args: argparse.Namespace) -> int:
    from swrepo.upkeep.migrations import eliminate_hardlinks

    return rewriting.rewrite(args, "break up every hard link of", eliminate_hardlinks)
