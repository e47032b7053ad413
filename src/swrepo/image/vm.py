"""Images started on this workstation by QEMU: each with ssh on loopback, and all on a network of their own."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from swrepo.errors import NotFound, SwrepoError, Unreachable, UsageError
from swrepo.image import metadata, programs
from swrepo.image.seed import Seed, Source

MEMORY = 1024
USER = "debian"
SWITCH = "230.0.0.77:17777"
"""The multicast group that stands for the cable between the machines."""

_NETWORK = "10.77.0"
_DISK = "8G"
FIRMWARES = ("bios", "uefi")
_UEFI = "/usr/share/ovmf/OVMF.fd"
_ACCELERATORS = ("auto", "kvm", "tcg")
_FIRST_SECONDS = 3.0
_POLL = 1.0
_LAST_OF_CONSOLE = 800
_UNTIL_IT_IS_UP = "cloud-init status --wait >/dev/null; timeout 600 systemctl is-system-running --wait >/dev/null; true"
"""Starts nothing: what a machine does not start by itself is to be missed."""


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A machine to start. `number` tells machines apart and gives addresses; `image`: a qcow2, never written to.

    `source`: how it is told what it is to be. `firmware`: `bios` or `uefi`. `volume`: size of a second disk, as
    qemu-img takes it, or none.
    """

    name: str
    number: int
    image: Path
    memory: int = MEMORY
    accelerator: str = "auto"
    switch: str = SWITCH
    source: Source = Source.NO_CLOUD
    firmware: str = "bios"
    volume: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.number < 255:
            raise UsageError(f"machine {self.number}: numbers go from 1 to 254")
        if self.accelerator not in _ACCELERATORS:
            raise UsageError(f"there is no accelerator {self.accelerator!r}; there are {', '.join(_ACCELERATORS)}")
        if self.firmware not in FIRMWARES:
            raise UsageError(f"there is no firmware {self.firmware!r}; there are {', '.join(FIRMWARES)}")

    @property
    def address(self) -> str:
        """Under which the other machines reach it."""
        return f"{_NETWORK}.{self.number}"

    @property
    def cards(self) -> dict[str, str]:
        """Its network cards: one to this workstation, one to the other machines."""
        return {self._hardware(1): "dhcp", self._hardware(2): f"{self.address}/24"}

    def _hardware(self, card: int) -> str:
        return f"52:54:00:77:{card:02x}:{self.number:02x}"

    @property
    def identifier(self) -> uuid.UUID:
        """What its firmware calls it."""
        return uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.number}.{self.name}.swrepo")

    def words(self, directory: Path, port: int, accelerator: str) -> list[str]:
        """The command line of QEMU. The disk has boot index 0, or the firmware looks at the cards first."""
        cpu = (
            ["-accel", "kvm", "-cpu", "host"] if accelerator == "kvm" else ["-accel", "tcg,thread=multi", "-cpu", "max"]
        )
        first, second = self.cards
        volume = directory / "volume.qcow2"
        more = ["-drive", f"if=none,id=volume,file={volume},format=qcow2", "-device", "virtio-blk-pci,drive=volume"]
        return [
            "qemu-system-x86_64",
            *cpu,
            *("-smp", "1", "-m", str(self.memory), "-machine", "graphics=off", "-display", "none", "-nodefaults"),
            *("-uuid", str(self.identifier), "-name", self.name),
            *("-drive", f"if=none,id=disk,file={directory / 'disk.qcow2'},format=qcow2"),
            *("-device", "virtio-blk-pci,drive=disk,bootindex=0"),
            *(("-bios", _UEFI) if self.firmware == "uefi" else ()),
            *self._told(directory),
            *(more if self.volume else ()),
            *("-netdev", f"user,id=outside,hostfwd=tcp:127.0.0.1:{port}-:22{self._service(directory)}"),
            *("-device", f"virtio-net-pci,netdev=outside,mac={first}"),
            *("-netdev", f"socket,id=inside,mcast={self.switch},localaddr=127.0.0.1"),
            *("-device", f"virtio-net-pci,netdev=inside,mac={second}"),
            *("-device", "virtio-rng-pci", "-monitor", "none", "-serial", f"file:{directory / 'console.log'}"),
        ]

    def _told(self, directory: Path) -> list[str]:
        """What tells it: a disk, or a name of the hardware at which cloud-init asks the service."""
        if self.source is Source.SERVICE:
            maker = f"type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,uuid={self.identifier}"
            return ["-smbios", maker]
        disk = f"if=none,id=seed,file={directory / self.source.file},format=raw,readonly=on"
        return ["-drive", disk, "-device", "virtio-blk-pci,drive=seed"]

    def _service(self, directory: Path) -> str:
        """The metadata service, as a part of the network to this workstation."""
        if self.source is not Source.SERVICE:
            return ""
        words = shlex.join(metadata.command(directory / self.source.file)).replace(",", ",,")
        return f",net={metadata.NETWORK},guestfwd=tcp:{metadata.ADDRESS}:80-cmd:{words}"


@dataclass(slots=True)
class VirtualMachine:
    """A machine that runs. `directory` has its disk, its console's log and the key that opens it."""

    plan: MachinePlan
    directory: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, files: dict[str, str] | None = None, instance: str | None = None) -> None:
        """Make its disks, where they are not there yet, and start it. SwrepoError where QEMU does not run."""
        files_too = {_UEFI: "ovmf"} if self.plan.firmware == "uefi" else {}
        programs.require(("qemu-system-x86_64", "qemu-img", "mkfs.vfat", "mcopy", "ssh-keygen", "ssh"), files_too)
        if not self.plan.image.is_file():
            raise NotFound(f"there is no image {self.plan.image}; 'swrepo image build' makes it")
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "key").exists():
            programs.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "swrepo", "-f", self.directory / "key"])
        disk = self.directory / "disk.qcow2"
        if not disk.exists():
            base = ["-b", str(self.plan.image.resolve()), "-F", "qcow2"]
            programs.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, disk, _DISK])
        if self.plan.volume and not (volume := self.directory / "volume.qcow2").exists():
            programs.run(["qemu-img", "create", "-q", "-f", "qcow2", volume, self.plan.volume])
        seed = Seed(
            instance or str(self.plan.identifier),
            self.plan.name,
            (self.directory / "key.pub").read_text("ascii").strip(),
            files or {},
            self.plan.cards,
            self.plan.source,
        )
        seed.write(self.directory)
        self._run()

    def _run(self) -> None:
        wanted = self.plan.accelerator
        ways = [wanted] if wanted != "auto" else ["kvm", "tcg"] if os.access("/dev/kvm", os.W_OK) else ["tcg"]
        for way in ways:
            self.port = _free_port()
            words = self.plan.words(self.directory, self.port, way)
            words[0] = programs.find(words[0]) or words[0]
            with (self.directory / "qemu.log").open("wb") as log:
                self._process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            try:
                self._process.wait(_FIRST_SECONDS)
            except subprocess.TimeoutExpired:
                return
        said = (self.directory / "qemu.log").read_text("utf-8", "replace").strip()
        raise SwrepoError(f"{self.plan.name}: QEMU ended at once: {said[-_LAST_OF_CONSOLE:]}")

    def ssh(self, *command: str) -> list[str]:
        """The words that run a command on it (none: that log in)."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20")
        words = ["ssh", "-i", str(self.directory / "key"), "-p", str(self.port), "-o", "IdentitiesOnly=yes"]
        return [*words, *(word for option in options for word in ("-o", option)), f"{USER}@127.0.0.1", *command]

    def wait_for_ssh(self, patience: float, say: Callable[[str], None] = lambda _text: None) -> float:
        """Until somebody can log in and the machine is set up; the seconds. Unreachable after `patience` seconds."""
        began, said = time.monotonic(), 0.0
        while (spent := time.monotonic() - began) < patience:
            if self._process is not None and self._process.poll() is not None:
                raise SwrepoError(f"{self.plan.name} went off while it started; {self._console()}")
            if self._answers():
                return time.monotonic() - began
            if spent - said > 30:
                said = spent
                say(f"{self.plan.name}: starting, {spent:.0f} s")
            time.sleep(_POLL)
        raise Unreachable(f"{self.plan.name} does not let anybody in after {patience:.0f} s; {self._console()}")

    def _answers(self) -> bool:
        words = self.ssh(_UNTIL_IT_IS_UP)
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    def power_off(self, patience: float = 120.0) -> bool:
        """Shut it down as an administrator would; after `patience`, as a power cut would: False then."""
        if self._process is None:
            return True
        words = self.ssh("sudo systemctl poweroff")
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=patience)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """Cut its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def snapshot(self, target: Path) -> None:
        """Its disk, while it is off, as an image that depends on no other."""
        programs.run(["qemu-img", "convert", "-c", "-O", "qcow2", self.directory / "disk.qcow2", target])

    def _console(self) -> str:
        log = self.directory / "console.log"
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        return f"the end of its console ({log}):\n{text[-_LAST_OF_CONSOLE:]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
