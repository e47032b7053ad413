"""What is noted on a cached file, to check it later by: a checksum of its plain bytes, and the boot that wrote it.

An object's name is the hash of its stored form, which cannot be made again from the plain bytes for certain: each
compressor has its own. The note is an extended attribute, so it comes and goes with the file, in one rename.

CRC-32 guards against a disk that forgets or flips, not against people: whoever can write to the cache can lie anyway.
It takes 0.2 us for 3 KB and a fraction of what reading takes for more (isal, carry-less multiplication; SHA-256 is a
hundred times slower here).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from isal import isal_zlib

_NAME = "user.swrepo.check"
_LAYOUT = struct.Struct("<BIQ8s")
_VERSION = 1
_BLOCK = 1 << 20

crc32 = isal_zlib.crc32
"""(bytes, checksum so far = 0) -> checksum"""


@dataclass(frozen=True, slots=True)
class Record:
    """`size` plain bytes with that `checksum`; `boot`: eight bytes that tell one run of the machine from another."""

    checksum: int
    size: int
    boot: bytes

    def write(self, file: int | str) -> bool:
        """Note it on a file; False where its file system takes no notes."""
        if not hasattr(os, "setxattr"):
            return False
        try:
            os.setxattr(file, _NAME, _LAYOUT.pack(_VERSION, self.checksum, self.size, self.boot))
        except OSError:
            return False
        return True


def read(file: int | str) -> Record | None:
    """The note on a file; None where there is none that we understand."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        version, checksum, size, boot = _LAYOUT.unpack(os.getxattr(file, _NAME))
    except (OSError, struct.error):
        return None
    return Record(checksum, size, boot) if version == _VERSION else None


def matches(found: Record, descriptor: int) -> bool:
    """Whether the file holds what the record says. Moves the descriptor's position to the beginning. OSError."""
    checksum = size = 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    while block := os.read(descriptor, _BLOCK):
        checksum, size = crc32(block, checksum), size + len(block)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return (checksum, size) == (found.checksum, found.size)
