"""Launch servers, clients or workers in a cloud, with a key, exactly the ports they need, and an address."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swrepo.cli.clouds import add_cloud_argument, add_deployment_argument
from swrepo.cli.output import note
from swrepo.errors import ConfigError, NotFound, UsageError

if TYPE_CHECKING:
    from swrepo.cloud.machines import LaunchPlan

EXAMPLE = """swrepo cloud launch server --public-key ~/.ssh/id_ed25519.pub
swrepo cloud launch worker --count 4 --server 203.0.113.7 --trust"""

_PATIENCE = 600


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", metavar="ROLE", help="server, client or worker")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--image", metavar="IMAGE", help="name or id (default: swrepo-ROLE)")
    parser.add_argument("--flavor", metavar="FLAVOR", help="name or id (default: the smallest that fits)")
    parser.add_argument("--network", metavar="NETWORK", help="name or id (default: the project's only one)")
    parser.add_argument("--key-pair", metavar="NAME", help="a key pair of the cloud that is let in")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="a public ssh key that is let in")
    parser.add_argument("--no-address", action="store_true", help="no floating IP")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for ssh")
    parser.add_argument(
        "--patience", type=int, default=_PATIENCE, metavar="S", help="seconds to wait for ssh (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    told = parser.add_argument_group("what the machines are told")
    told.add_argument("--repositories", nargs="+", default=[], metavar="REPO", help="to make, or to answer")
    told.add_argument("--server", metavar="HOST", help="clients, workers: the server to use")
    told.add_argument("--via-proxy", metavar="PROXIES", help="clients, workers: as CVMFS_HTTP_PROXY")
    told.add_argument("--trust", action="store_true", help="clients, workers: take the keys that the server offers")
    told.add_argument("--keys", type=Path, metavar="DIR", help="keys of repositories, from DIR/REPO.*")
    told.add_argument("--proxy-port", action="store_true", help="open 3128 too: it runs a web cache")
    add_deployment_argument(parser)
    add_cloud_argument(parser)


def run(args: argparse.Namespace) -> None:
    from swrepo.cloud import images, machines, network
    from swrepo.cloud.connection import connect
    from swrepo.cloud.description import rules

    plan = _plan(args)
    connection = connect(args.cloud)
    if args.dry_run:
        image = images.find(connection, plan.image)
        print(f"image     {image.name} ({image.id})")
        print(f"flavor    {machines.choose_flavor(connection, plan.flavor, image).name}")
        print(f"network   {network.choose(connection, plan.network).name}")
        print(f"ports     {', '.join(rule.words for rule in rules(plan.role, proxy=plan.proxy))}")
        print(f"machines  {', '.join(plan.names)}")
        return
    for machine in machines.launch(connection, plan, note):
        where = machine.address
        print(f"{machine.name}: {where or 'no address'} ({machine.identifier})", flush=True)
        if where and not args.no_wait:
            seconds = machines.wait_for_ssh(where, args.patience, note)
            print(f"  ready after {seconds:.0f} s; next:  ssh debian@{where}")


def _plan(args: argparse.Namespace) -> LaunchPlan:
    from swrepo.cloud.description import UserData
    from swrepo.cloud.machines import LaunchPlan

    if args.key_pair and args.public_key:
        raise UsageError("give --key-pair or --public-key, not both")
    settings = {
        "REPOSITORIES": " ".join(args.repositories),
        "SERVER": args.server or "",
        "PROXY": args.via_proxy or "",
        "TRUST": "yes" if args.trust else "",
    }
    return LaunchPlan(
        role=args.role,
        deployment=args.name,
        image=args.image or f"swrepo-{args.role}",
        count=args.count,
        flavor=args.flavor,
        network=args.network,
        key_name=args.key_pair,
        public_key=_text(args.public_key) if args.public_key else None,
        with_address=not args.no_address,
        proxy=args.proxy_port,
        user_data=UserData({key: value for key, value in settings.items() if value}, _keys(args)),
    )


def _keys(args: argparse.Namespace) -> dict[str, bytes]:
    """Key files of the repositories that were named, or all public ones."""
    if args.keys is None:
        return {}
    patterns = [f"{name}.*" for name in args.repositories] if args.role == "server" else ["*.pub"]
    found = {path.name: path.read_bytes() for pattern in patterns for path in sorted(args.keys.glob(pattern))}
    if not found:
        raise NotFound(f"there are no keys {', '.join(patterns)} in {args.keys}")
    return found


def _text(path: Path) -> str:
    try:
        text = path.expanduser().read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise NotFound(f"cannot read the public key {path}: {error}; 'ssh-keygen' makes a pair") from error
    if "PRIVATE KEY" in text:
        raise ConfigError(f"{path} is a private key; give the public one ({path}.pub)")
    return text
