"""A mount as a service of systemd, of type `notify`: it says when it answers, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from swrepo.fuse.mount import mounted_at
from tests.mount.machines import FQRN, Machine
from tests.mount.mounted import require_fuse
from tests.mount.programs import PROGRAMS

pytestmark = pytest.mark.mount


@pytest.mark.parametrize("is_abstract", [False, True], ids=["a socket file", "an abstract socket"])
def test_it_tells_when_it_answers_and_ends_with_code_0(tmp_path, is_abstract) -> None:
    require_fuse()
    machine = Machine(tmp_path)
    name = f"swrepo-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}" if is_abstract else name)
        listener.settimeout(30)
        environment = {"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(machine.prefix)}
        service = subprocess.Popen(
            [PROGRAMS / "swrepo", "mount", "--foreground", FQRN, machine.point],
            env=environment | {"NOTIFY_SOCKET": f"@{name}" if is_abstract else name},
            stderr=subprocess.PIPE,
        )
        try:
            assert listener.recv(100) == b"READY=1"
            assert (machine.point / "hello").read_text() == "hello\n"
        finally:
            service.send_signal(signal.SIGTERM)
            _, said = service.communicate(timeout=30)
            machine.unmount()
    assert service.returncode == 0, said
    assert mounted_at(str(machine.point)) is None
