"""What the commands for clouds share: which cloud, and questions before anything is deleted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from swrepo.errors import UsageError

DEPLOYMENT = "swrepo"


def add_cloud_argument(parser: argparse.ArgumentParser) -> None:
    """`--cloud NAME`."""
    parser.add_argument("--cloud", metavar="NAME", help="of clouds.yaml (default: OS_CLOUD, or OS_* variables)")


def add_deployment_argument(parser: argparse.ArgumentParser) -> None:
    """`--name NAME`: several deployments in one project do not get in each other's way."""
    parser.add_argument("--name", default=DEPLOYMENT, help="of the deployment (default: %(default)s)")


def confirmed(question: str, lines: Iterable[str], *, yes: bool) -> bool:
    """Name what it is about and ask; UsageError where nobody is there to answer."""
    for line in lines:
        print(f"  {line}")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to answer; --yes says so ahead")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
