"""A directory -> a disk image that BIOS and UEFI start: partitions, file systems, boot loaders, qcow2."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from swrepo.errors import SwrepoError
from swrepo.image import boot_loader, programs
from swrepo.image.boot_loader import SECTOR
from swrepo.image.filesystem import Ext4

_MEBI = 1 << 20
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00C09F3EC93B"
_ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
_NAMESPACE = uuid.UUID("6f1f8a43-58d5-4b12-9c3a-0f3d3a3a7c10")

SIZE = 2 << 30
"""Bytes of the disk, if nobody says otherwise; the root grows at the first boot to what the machine has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the partitions of a disk of `size` bytes are. All numbers in bytes."""

    size: int
    bios: int = _MEBI
    efi: int = 2 * _MEBI
    root: int = 34 * _MEBI

    @property
    def root_size(self) -> int:
        return self.size - self.root - _MEBI  # the second partition table is at the end

    def script(self, name: str) -> str:
        """For sfdisk. Identifiers come from the image's name, so that the same image is the same bytes."""
        rows = [
            (self.bios, self.efi - self.bios, _BIOS_BOOT, "bios"),
            (self.efi, self.root - self.efi, _EFI_SYSTEM, "efi"),
            (self.root, self.root_size, _ROOT_X86_64, "root"),
        ]
        lines = ["label: gpt", f"label-id: {identifier(name, 'disk')}", "unit: sectors", "first-lba: 34"]
        lines += [
            f"start={start // SECTOR}, size={size // SECTOR}, type={kind}, uuid={identifier(name, label)}, name={label}"
            for start, size, kind, label in rows
        ]
        return "\n".join(lines) + "\n"


def identifier(name: str, part: str) -> uuid.UUID:
    """The identifier of a part of the image that is called `name`."""
    return uuid.uuid5(_NAMESPACE, f"{name}/{part}")


@dataclass(frozen=True, slots=True)
class DiskBuilder:
    """Makes disks in `scratch`. `as_builder` runs a program as the user whose files those of the directory are.

    `epoch`: the time, in Unix seconds, that everything is made at.
    """

    scratch: Path
    name: str
    epoch: int
    as_builder: tuple[str, ...] = ()

    def raw(self, directory: Path, size: int) -> Path:
        """A raw disk of `size` bytes that starts the system in `directory`."""
        layout, disk = Layout(size), self.scratch / "disk.raw"
        with disk.open("wb") as out:
            out.truncate(size)
        disk.chmod(0o666)  # whoever makes the file system in it may be another user of a user namespace
        self._make_root(disk, layout, directory)
        programs.run(["sfdisk", "--quiet", "--no-tell-kernel", disk], text=layout.script(self.name))
        with disk.open("r+b") as out:
            boot_loader.install(out, self.scratch, layout.bios // SECTOR, layout.efi - layout.bios)
            out.seek(layout.efi)
            out.write(self._efi(layout.root - layout.efi))
        return disk

    def compressed(self, raw: Path, target: Path) -> None:
        """The raw disk as a compressed qcow2 without a backing file, as image services want it."""
        partial = target.with_name(f"{target.name}.part")
        # One coroutine: clusters are written in order, so the same disk gives the same bytes.
        programs.run(["qemu-img", "convert", "-c", "-m", "1", "-O", "qcow2", "-o", "compat=1.1", raw, partial])
        partial.replace(target)

    def _make_root(self, disk: Path, layout: Layout, directory: Path) -> None:
        number, seed = (str(identifier(self.name, part)) for part in ("filesystem", "hash"))
        try:
            Ext4(number, seed, self.epoch, self.as_builder).make(directory, disk, layout.root, layout.root_size)
        except SwrepoError as error:
            error.add_note(f"the disk has {layout.size >> 20} MiB; a larger one is made with --size")
            raise

    def _efi(self, size: int) -> bytes:
        """The system partition: FAT with one program."""
        partition, program = self.scratch / "efi.fat", boot_loader.make_efi(self.scratch)
        with partition.open("wb") as out:
            out.truncate(size)
        stamp = {"SOURCE_DATE_EPOCH": str(self.epoch)}
        programs.run(["mkfs.vfat", "--invariant", "-F", "16", "-n", "EFI", partition], environment=stamp)
        programs.run(["mmd", "-i", partition, "::EFI", "::EFI/BOOT"], environment=stamp)
        programs.run(["mcopy", "-i", partition, program, "::EFI/BOOT/BOOTX64.EFI"], environment=stamp)
        return partition.read_bytes()
