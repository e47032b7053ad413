"""Forget the whole-file copies of chunked files that old publishers stored beside the chunks, in a new revision.

No client since 2.1.7 (2013) reads them. 'gc' then removes the copies, once no kept revision names them.
"""

from __future__ import annotations

import argparse

from swrepo.cli import rewriting

EXAMPLE = "cvmfs_server eliminate-bulk-hashes -f dair.cvmfs.server"

configure = rewriting.configure


def run(args: argparse.Namespace) -> int:
    from swrepo.upkeep.migrations import eliminate_bulk_hashes

    return rewriting.rewrite(args, "forget the whole-file copies of chunked files of", eliminate_bulk_hashes)
