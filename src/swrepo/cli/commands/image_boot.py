"""Start images on this workstation with QEMU: ssh on loopback, and a network between the machines. Ctrl-C ends them."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = """swrepo image boot server client
swrepo image boot server --volume 20G --source configdrive
swrepo image boot worker --source openstack --firmware uefi --settings machine.conf
swrepo image boot client=/images/mine.qcow2 --memory 2048"""

_PATIENCE = 900


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "machines", nargs="+", metavar="NAME[=IMAGE]", help="what it is called, and its image (swrepo-NAME.qcow2)"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path("machines"), metavar="DIR", help="of their disks and keys"
    )
    parser.add_argument("--memory", type=int, default=1024, metavar="MB", help="of each (default: %(default)s)")
    parser.add_argument("--accelerator", default="auto", metavar="WAY", help="auto, kvm or tcg (default: %(default)s)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="becomes /etc/swrepo/machine.conf of each")
    parser.add_argument("--volume", default="", metavar="SIZE", help="give each a second, empty disk, such as 20G")
    parser.add_argument(
        "--source",
        choices=("nocloud", "configdrive", "openstack"),
        default="nocloud",
        help="how each is told: by a disk, a config drive, a metadata service (default: %(default)s)",
    )
    parser.add_argument(
        "--firmware", choices=("bios", "uefi"), default="bios", help="what starts them (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    import shlex
    import threading

    from swrepo.cli.output import note
    from swrepo.image.seed import Source
    from swrepo.image.vm import MachinePlan, VirtualMachine

    files = {} if args.settings is None else {"/etc/swrepo/machine.conf": args.settings.read_text("utf-8")}
    started: list[VirtualMachine] = []
    try:
        for number, text in enumerate(args.machines, 1):
            name, _, image = text.partition("=")
            plan = MachinePlan(
                name,
                number,
                Path(image or f"swrepo-{name}.qcow2"),
                args.memory,
                args.accelerator,
                source=Source(args.source),
                firmware=args.firmware,
                volume=args.volume,
            )
            machine = VirtualMachine(plan, (args.directory / name).absolute())
            machine.start(files)
            started.append(machine)
        for machine in started:
            seconds = machine.wait_for_ssh(_PATIENCE, note)
            print(f"{machine.plan.name}: ready after {seconds:.0f} s, {machine.plan.address} for the others")
            print(f"  {shlex.join(machine.ssh())}", flush=True)
        note("Ctrl-C shuts them down")
        threading.Event().wait()
    except KeyboardInterrupt:
        note("shutting down")
        for machine in started:
            machine.power_off()
    finally:
        for machine in started:
            machine.kill()
