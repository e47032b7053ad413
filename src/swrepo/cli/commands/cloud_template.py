"""Write the same machines as a Heat template or as an OpenTofu/Terraform module."""

from __future__ import annotations

import argparse

EXAMPLE = """swrepo cloud template heat server client > swrepo.yaml
swrepo cloud template tofu server worker > swrepo.tf.json"""

_KINDS = ("heat", "tofu")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    parser.add_argument("roles", nargs="+", metavar="ROLE", help="server, client, worker")
    parser.add_argument("--name", default="swrepo", help="of the deployment (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud import template

    plan = template.TemplatePlan(args.roles, args.name)
    print(template.heat(plan) if args.kind == "heat" else template.tofu(plan), end="")
