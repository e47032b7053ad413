"""The walk of a newcomer, as commands: point a client to a server, run what it serves, publish more, run that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from swrepo.cloud.login import GUEST
from swrepo.machine.settings import SAMPLE_REPOSITORY

OWNER = "cvmfs"


class Where(StrEnum):
    """On which machine something is typed."""

    SERVER = "server"
    CLIENT = "client"


class Step(NamedTuple):
    """A command, who types it ('' is whom ssh lets in), and what it must print or must not."""

    where: Where
    account: str
    command: str
    expected: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def first_use(address: str) -> Iterator[Step]:
    """The client sees the sample application of the server at `address`."""
    yield Step(Where.SERVER, "", "swrepo machine message", (SAMPLE_REPOSITORY, "PointToCVMFS"))
    yield Step(Where.CLIENT, "", f"sudo PointToCVMFS {address} --yes", (SAMPLE_REPOSITORY, "signed as its key says"))
    yield from use(("Hello",), ("Goodbye",))


def use(applications: Sequence[str], absent: Sequence[str] = ()) -> Iterator[Step]:
    """A guest finds nothing until he touches it, lists these applications and not those, and runs them."""
    name = SAMPLE_REPOSITORY
    yield Step(Where.CLIENT, GUEST, "ls /cvmfs", absent=(name,))
    yield Step(Where.CLIENT, GUEST, f"ls -l /cvmfs/{name}/*", (*applications, "cvmfs cvmfs"), tuple(absent))
    for application in applications:
        yield run(application)


def run(application: str) -> Step:
    """It says where it is."""
    path = f"/cvmfs/{SAMPLE_REPOSITORY}"
    return Step(Where.CLIENT, GUEST, f"{path}/{application}", (f"{application} from {path}",))


def addition(address: str, application: str) -> Iterator[Step]:
    """An application is added on the server, published, and used on the client."""
    yield from publication(application)
    yield Step(Where.CLIENT, GUEST, f"sudo PointToCVMFS {address}", (SAMPLE_REPOSITORY,))
    yield run(application)


def publication(application: str) -> Iterator[Step]:
    """An application is added on the server, and published."""
    name = SAMPLE_REPOSITORY
    edit = f"cp Hello {application} && sed -i s/Hello/{application}/ {application}"
    yield Step(Where.SERVER, OWNER, f"cd /cvmfs/{name} && {edit}")
    yield Step(Where.SERVER, OWNER, f"cd /cvmfs/{name} && cvmfs-sync", (application,))
    yield Step(Where.SERVER, OWNER, f"cd /cvmfs/{name} && cvmfs_server publish", ("published revision",))
