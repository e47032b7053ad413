"""The walk of a newcomer, as commands: point a client to a server, run what it serves, publish more, run that."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from swrepo.machine.settings import SAMPLE_REPOSITORY


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
    name = SAMPLE_REPOSITORY
    yield Step(Where.SERVER, "", "swrepo machine message", (name, "PointToCVMFS"))
    yield Step(Where.CLIENT, "", f"sudo PointToCVMFS {address} --yes", (name, "signed as its key says"))
    yield Step(Where.CLIENT, "guest", "ls /cvmfs", absent=(name,))
    yield Step(Where.CLIENT, "guest", f"ls -l /cvmfs/{name}/*", ("Hello", "cvmfs"), ("Goodbye",))
    yield Step(Where.CLIENT, "guest", f"/cvmfs/{name}/Hello", (f"Hello from /cvmfs/{name}",))


def addition(address: str, application: str) -> Iterator[Step]:
    """An application is added on the server, published, and used on the client."""
    name = SAMPLE_REPOSITORY
    edit = f"cp Hello {application} && sed -i s/Hello/{application}/ {application}"
    yield Step(Where.SERVER, "cvmfs", f"cd /cvmfs/{name} && {edit}")
    yield Step(Where.SERVER, "cvmfs", f"cd /cvmfs/{name} && cvmfs-sync", (application,))
    yield Step(Where.SERVER, "cvmfs", f"cd /cvmfs/{name} && cvmfs_server publish", ("published revision",))
    yield Step(Where.CLIENT, "guest", f"sudo PointToCVMFS {address}", (name,))
    yield Step(Where.CLIENT, "guest", f"/cvmfs/{name}/{application}", (f"{application} from /cvmfs/{name}",))
