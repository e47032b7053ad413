"""How a publication tells where it is. It never prints itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """What is being done; the value can be shown to people."""

    CHECKING = "checking keys and whitelist"
    FILES = "comparing and storing files"
    ARCHIVES = "storing archives"
    CATALOGS = "writing catalogs"
    SIGNING = "signing"
    MARKING = "looking for what is in use"
    SWEEPING = "removing what is not"
    REPLICATING = "replicating"
    CHECKING_CATALOGS = "checking catalogs"
    CHECKING_OBJECTS = "checking objects"


class Progress(Protocol):
    """Called often, by one thread, and expected to be quick."""

    def phase(self, phase: Phase) -> None:
        """The next part of the work begins."""
        ...

    def expect(self, files: int, size: int) -> None:
        """So many more files, of so many plain bytes, are to be read."""
        ...

    def expect_no_more(self) -> None:
        """All that is to be read has been told by `expect`."""
        ...

    def advance(self, files: int, size: int) -> None:
        """So many more files, of so many plain bytes, have been read and stored."""
        ...


class Silent:
    """Progress that nobody watches."""

    def phase(self, phase: Phase) -> None:
        del phase

    def expect(self, files: int, size: int) -> None:
        del files, size

    def expect_no_more(self) -> None:
        """See Progress."""

    def advance(self, files: int, size: int) -> None:
        del files, size
