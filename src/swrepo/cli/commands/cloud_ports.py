"""Show which ports a role needs, or open them in a deployment's security group."""

from __future__ import annotations

import argparse

from swrepo.cli.clouds import add_cloud_argument, add_deployment_argument
from swrepo.cli.output import write_table

EXAMPLE = "swrepo cloud ports server --open"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", metavar="ROLE", help="server, client or worker")
    parser.add_argument("--proxy", action="store_true", help="it runs a web cache too")
    parser.add_argument("--open", action="store_true", help="open them in the security group")
    add_deployment_argument(parser)
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud.description import rules

    needed = rules(args.role, proxy=args.proxy)
    write_table(["PORT", "FOR"], [[rule.words, rule.why] for rule in needed])
    if args.open:
        from swrepo.cloud.connection import connect
        from swrepo.cloud.network import security_group

        group, opened = security_group(connect(args.cloud), f"{args.name}-{args.role}", needed)
        print(f"{group.name}: opened {', '.join(rule.words for rule in opened) or 'nothing, all were open'}")
