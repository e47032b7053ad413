"""mount.control: a line in, a text out."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from swrepo.errors import MountFailed, ReadOnly
from swrepo.mount.control import ControlSocket, ask


def fail(_rest: str) -> str:
    raise ReadOnly("it cannot be done")


def crash(_rest: str) -> str:
    raise ZeroDivisionError


@pytest.fixture
def control(tmp_path: Path):
    found = ControlSocket(
        tmp_path / "control", {"echo": lambda rest: rest, "pid": lambda _: "1", "fail": fail, "crash": crash}
    )
    yield found
    found.close()


def test_a_command_is_answered_with_its_arguments(control: ControlSocket) -> None:
    assert ask(control.path, "echo one two") == "one two"
    assert ask(control.path, "echo") == ""
    assert ask(control.path, "help") == "crash\necho\nfail\nhelp\npid"


def test_what_is_no_command_is_said_to_be_none(control: ControlSocket) -> None:
    assert ask(control.path, "echoes") == "unknown command; try help"
    assert ask(control.path, "") == "unknown command; try help"
    assert ask(control.path, "\xff" * 1000) == "unknown command; try help"


def test_failures_are_told_and_harm_nobody(control: ControlSocket, expected_warnings) -> None:
    expected_warnings("the control command")
    assert ask(control.path, "fail") == "error: it cannot be done"
    assert ask(control.path, "crash") == "error: see the log"
    assert ask(control.path, "echo on") == "on"


def test_only_the_owner_may_ask(control: ControlSocket) -> None:
    assert control.path.stat().st_mode & 0o777 == 0o600


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(control: ControlSocket, tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    replaced = ControlSocket(dead, {"pid": lambda _: "2"})
    beside = ControlSocket(control.path, {"pid": lambda _: "3"})

    assert ask(dead, "pid") == "2"
    assert ask(control.path, "pid") == "1"
    assert ask(beside.path, "pid") == "3"
    replaced.close()
    beside.close()


def test_a_path_longer_than_an_address_may_be_works(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    control = ControlSocket(directory / "cvmfs_io.software.example.org", {"pid": lambda _: "7"})
    assert ask(control.path, "pid") == "7"
    control.close()
    assert list(directory.iterdir()) == []


def test_where_nobody_listens_the_asker_is_told(tmp_path: Path) -> None:
    with pytest.raises(MountFailed, match="no mount answers"):
        ask(tmp_path / "missing", "pid")
