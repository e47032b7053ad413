"""A machine with a configuration that knows one repository of a server (a directory), for tests of the programs."""

from __future__ import annotations

from pathlib import Path

from swrepo.fuse.mount import mounted_at, umount
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher
from tests.mount.programs import Programs

FQRN = "sw.example.org"


class Machine(Programs):
    """`point` is an empty directory; `prefix` where everything of the machine is."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "client")
        self.server = directory / "server"
        self.tree = self.server / "cvmfs" / FQRN
        self.storage = self.server / "srv/cvmfs" / FQRN
        self.key = self.server / "etc/cvmfs/keys" / f"{FQRN}.pub"
        self.point = self.prefix / "mnt"
        self.point.mkdir(parents=True)
        create_repository(ServerLayout(self.server), FQRN, CreateOptions())
        (self.tree / "secret").write_text("secret\n")
        (self.tree / "secret").chmod(0o600)
        self.publish("hello", "hello\n")
        self.configure("default.conf", CVMFS_SERVER_URL=self.storage.as_uri(), CVMFS_PUBLIC_KEY=self.key)

    def configure(self, name: str, **settings: object) -> None:
        path = self.prefix / "etc/cvmfs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))

    def mount(self, *words: object, code: int = 0) -> str:
        return self.run("mount.cvmfs", FQRN, self.point, *words, code=code)

    def publish(self, name: str, text: str) -> None:
        (self.tree / name).write_text(text)
        Publisher(ServerLayout(self.server)).publish(FQRN)

    def unmount(self) -> None:
        """Whatever is mounted, at the end of a test."""
        for point in (self.point, self.prefix / "cvmfs"):
            if mounted_at(str(point)) is not None:
                umount(str(point), lazy=True)
