"""Give the server tools the capabilities that they need: none, for no program here runs with more than its user's."""

from __future__ import annotations

import argparse

EXAMPLE = "cvmfs_server fix-permissions"


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing."""
    del parser


def run(args: argparse.Namespace) -> None:
    del args
    print("no program of the server needs a capability: nothing was changed")
