"""GRUB for BIOS and UEFI, put in place by hand: its own installer wants a mounted disk.

BIOS: the first sector of the disk (boot.img) loads the first sector of the core image, which loads the rest by a list
of blocks. Both hold sector numbers that an installer fills in; so do we. UEFI: firmware starts EFI/BOOT/BOOTX64.EFI of
the system partition. Both then read the configuration on the root file system, which is found by its label.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from swrepo.errors import FormatError
from swrepo.image import programs
from swrepo.image.recipe import ROOT_LABEL

SECTOR = 512

_BOOT_IMAGE = Path("/usr/lib/grub/i386-pc/boot.img")
_BOOT_CODE = 440  # bytes before the disk's identifier and partition table
_CORE_SECTOR_AT = 0x5C
_DRIVE_CHECK_AT = 0x66
_NO_OPERATION = b"\x90\x90"
_BLOCK_LIST_AT = SECTOR - 12
_BLOCK_LIST = struct.Struct("<QHH")  # first sector, number of sectors, segment where they go
_CORE_SEGMENT = 0x820

_MODULES = ("part_gpt", "ext2", "fat", "search", "search_label", "configfile", "linux", "normal", "echo", "sleep")
_BIOS_MODULES = (*_MODULES, "biosdisk", "serial", "terminal")
_EFI_MODULES = (*_MODULES, "serial", "terminal", "all_video", "efi_gop")

_EARLY = (
    f"search --no-floppy --label {ROOT_LABEL} --set root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
)

CONFIGURATION = f"""\
# Starts the kernel that Debian's links name; they follow when the kernel is upgraded.
set timeout=1
if serial --unit=0 --speed=115200; then
    terminal_input console serial
    terminal_output console serial
fi
search --no-floppy --label {ROOT_LABEL} --set root
menuentry "swrepo" {{
    linux /vmlinuz root=LABEL={ROOT_LABEL} ro console=tty0 console=ttyS0,115200
    initrd /initrd.img
}}
menuentry "swrepo, the kernel before" {{
    linux /vmlinuz.old root=LABEL={ROOT_LABEL} ro console=tty0 console=ttyS0,115200
    initrd /initrd.img.old
}}
"""


def make_core(scratch: Path) -> bytes:
    """GRUB's core image for BIOS."""
    return _make(scratch, "i386-pc", _BIOS_MODULES)


def make_efi(scratch: Path) -> Path:
    """The program that UEFI firmware starts."""
    _make(scratch, "x86_64-efi", _EFI_MODULES)
    return scratch / "x86_64-efi.img"


def _make(scratch: Path, kind: str, modules: tuple[str, ...]) -> bytes:
    early, target = scratch / "early.cfg", scratch / f"{kind}.img"
    early.write_text(_EARLY)
    programs.run(["grub-mkimage", "-O", kind, "-o", target, "-c", early, "-p", "/boot/grub", *modules])
    return target.read_bytes()


def boot_code(core: bytes, boot: bytes, core_sector: int) -> tuple[bytes, bytes]:
    """The first bytes of the disk, and the core image, for a core image that begins at `core_sector`.

    FormatError where either is not what this GRUB is known to make.
    """
    if len(boot) != SECTOR or len(core) < 2 * SECTOR:
        raise FormatError(f"this GRUB is not one that is known: boot.img has {len(boot)} bytes, core.img {len(core)}")
    _, _, segment = _BLOCK_LIST.unpack_from(core, _BLOCK_LIST_AT)
    if segment != _CORE_SEGMENT:
        raise FormatError(f"this GRUB is not one that is known: its core begins at segment {segment:#x}")
    first = bytearray(boot[:_BOOT_CODE])
    struct.pack_into("<Q", first, _CORE_SECTOR_AT, core_sector)
    first[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + len(_NO_OPERATION)] = _NO_OPERATION
    placed = bytearray(core)
    sectors = -(-len(core) // SECTOR)
    _BLOCK_LIST.pack_into(placed, _BLOCK_LIST_AT, core_sector + 1, sectors - 1, _CORE_SEGMENT)
    return bytes(first), bytes(placed)


def install(disk: BinaryIO, scratch: Path, core_sector: int, room: int) -> None:
    """Write GRUB for BIOS to a partitioned disk whose partition of `room` bytes at `core_sector` is for it."""
    core = make_core(scratch)
    if len(core) > room:
        raise FormatError(f"GRUB's core image has {len(core):,} bytes, more than the {room:,} that are for it")
    first, placed = boot_code(core, _BOOT_IMAGE.read_bytes(), core_sector)
    disk.seek(0, os.SEEK_SET)
    disk.write(first)
    disk.seek(core_sector * SECTOR, os.SEEK_SET)
    disk.write(placed)
