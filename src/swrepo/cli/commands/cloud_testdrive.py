"""The whole walk of a newcomer in a cloud: launch a server and a client, publish, point, run; each step is printed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.clouds import add_cloud_argument
from swrepo.cli.output import note
from swrepo.errors import CloudRefused

if TYPE_CHECKING:
    from swrepo.cloud.walk import Step

EXAMPLE = "swrepo cloud testdrive --public-key ~/.ssh/id_ed25519.pub --identity ~/.ssh/id_ed25519"

_PATIENCE = 900


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--public-key", type=Path, required=True, metavar="FILE", help="the key that is let in")
    parser.add_argument("--identity", metavar="FILE", help="its private part (default: what ssh finds)")
    parser.add_argument("--flavor", metavar="FLAVOR", help="name or id (default: the smallest that fits)")
    parser.add_argument("--network", metavar="NETWORK", help="name or id (default: the project's only one)")
    parser.add_argument("--name", default="swrepo-testdrive", help="of the deployment (default: %(default)s)")
    parser.add_argument(
        "--patience", type=int, default=_PATIENCE, metavar="S", help="seconds to wait for ssh (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the machines afterwards")
    parser.add_argument("--dry-run", action="store_true", help="print the steps, do nothing")
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud import machines, walk
    from swrepo.cloud.connection import connect

    if args.dry_run:
        for step in (*walk.first_use("SERVER"), *walk.addition("SERVER", "Goodbye")):
            print(_prompt(step))
        return
    connection = connect(args.cloud)
    try:
        addresses = _launch(args, connection)
        for step in (*walk.first_use(addresses["server"]), *walk.addition(addresses["server"], "Goodbye")):
            _take(step, addresses[step.where], args.identity)
        print("All of it worked.")
    finally:
        if args.keep:
            note(f"the machines stay; 'swrepo cloud down --name {args.name}' deletes them")
        else:
            machines.down(connection, machines.remains(connection, args.name), note)


def _launch(args: argparse.Namespace, connection: object) -> dict[str, str]:
    """A server and a client; their addresses."""
    from swrepo.cloud import machines

    key = args.public_key.expanduser().read_text("ascii").strip()
    found: dict[str, str] = {}
    for role in ("server", "client"):
        plan = machines.LaunchPlan(
            role, args.name, f"swrepo-{role}", flavor=args.flavor, network=args.network, public_key=key
        )
        (machine,) = machines.launch(connection, plan, note)
        if machine.address is None:
            raise CloudRefused(f"{machine.name} has no address, so nobody can log in")
        found[role] = machine.address
    for address in found.values():
        machines.wait_for_ssh(address, args.patience, note)
    return found


def _take(step: Step, address: str, identity: str | None) -> None:
    """Type it, show what it prints, and stop where that is not what it must be."""
    from swrepo.cloud import login

    print(_prompt(step), flush=True)
    outcome = login.run(login.ssh_words(address, identity), step.account, step.command)
    print(outcome.output, end="", flush=True)
    missing = [text for text in step.expected if text not in outcome.output]
    unwanted = [text for text in step.absent if text in outcome.output]
    if outcome.code or missing or unwanted:
        raise CloudRefused(
            f"'{step.command}' on the {step.where} ended with {outcome.code}"
            + "".join(f"; it did not print {text!r}" for text in missing)
            + "".join(f"; it printed {text!r}" for text in unwanted)
        )


def _prompt(step: Step) -> str:
    return f"{step.account or 'debian'}@{step.where}$ {step.command}"
