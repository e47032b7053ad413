"""Servers that fail in every way, under a real mount: EIO, one line that says why, no wrong byte, and the mount goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from tests.faults import (
    Behaviour,
    instead,
    not_http,
    on_objects,
    reset,
    silent,
    stalled,
    status,
    truncated,
    unannounced,
)
from tests.mount.faulty import Faulty, Site, faulty, tree
from tests.mount.mounted import wait_until
from tests.simulator import flipped

pytestmark = pytest.mark.mount


def wrong(change) -> Behaviour:
    """200 with the truth, changed."""

    def answer(exchange) -> None:
        instead(change(exchange.content))(exchange)

    return answer


SILENCE: dict[str, tuple[Behaviour, str]] = {
    "a black hole": (silent, "too slow"),
    "a stall half-way": (stalled(20), "too slow"),
}
NONSENSE: dict[str, tuple[Behaviour, str]] = {
    "a wrong bit": (wrong(lambda content: flipped(content, 4 * len(content))), "object "),
    "other bytes": (instead(b"<html>please log in</html>" * 50), "object "),
    "short bytes": (wrong(lambda content: content[:-1]), "object "),
    "long bytes": (wrong(lambda content: content + b"x"), "object "),
    "no bytes": (instead(b""), "object "),
    "an end before the end": (truncated(30), "bytes"),
    "404": (status(404), "HTTP status 404"),
    "500": (status(500), "HTTP status 500"),
    "503": (status(503), "HTTP status 503"),
    "a reset": (reset, "reset"),
    "another protocol": (not_http, "object "),
}
FAULTS = SILENCE | NONSENSE
NAMES = {fault: f"file{number}" for number, fault in enumerate(FAULTS)}
DIRECTORIES = {fault: f"nested{number}" for number, fault in enumerate(FAULTS)}
NESTED = tuple(f"/{name}".encode() for name in DIRECTORIES.values())


def a_mount(factory: pytest.TempPathFactory, timeout: float) -> Iterator[Faulty]:
    """One mount for many faults, each of which has a nested catalog of its own."""
    directory = factory.mktemp("faults")
    names = [*(f"{name}/inside" for name in DIRECTORIES.values()), "known"]
    site = Site(directory, tree(*names), NESTED)
    expected = ("READ of '/file", "LOOKUP of '/nested")
    with faulty(directory, site, expected=expected, timeout=timeout) as found:
        assert found.is_right("known")
        yield found


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """For silence, which ends with a time limit."""
    yield from a_mount(tmp_path_factory, 1.0)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """For what is to end without one."""
    yield from a_mount(tmp_path_factory, 30.0)


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def mount(request: pytest.FixtureRequest, fault: str) -> Iterator[Faulty]:
    """One whose server is well before and afterwards."""
    found: Faulty = request.getfixturevalue("impatient" if fault in SILENCE else "patient")
    yield found
    found.server.always(None)


each_fault = pytest.mark.parametrize("fault", FAULTS, indirect=True)


@each_fault
def test_a_file_is_eio_with_a_line_in_the_log_until_the_server_is_well_again(mount: Faulty, fault: str) -> None:
    behaviour, why = FAULTS[fault]
    name = NAMES[fault]
    mount.site.publish(mount.site.files | tree(name), NESTED)
    assert "follows" in mount.mount.ask("remount")
    mount.server.always(on_objects(behaviour))

    assert mount.refusal(name) == errno.EIO

    (line,) = mount.log(f"READ of '/{name}'")
    assert why in line
    assert mount.site.url in line, "the line says who was asked"
    assert mount.is_right("known")
    mount.server.always(None)
    wait_until(lambda: mount.is_right(name), 5)


@each_fault
def test_a_directory_is_eio_until_its_catalog_can_be_had(mount: Faulty, fault: str) -> None:
    behaviour, why = FAULTS[fault]
    name = DIRECTORIES[fault]
    mount.server.always(on_objects(behaviour))

    with pytest.raises(OSError) as raised:
        os.stat(mount.path(f"{name}/inside"))
    assert raised.value.errno == errno.EIO

    (line,) = mount.log(f"LOOKUP of '/{name}/inside'")
    assert why in line
    assert mount.site.url in line
    assert name in os.listdir(mount.path()), "what lies above is shown"
    mount.server.always(None)
    assert mount.is_right(f"{name}/inside")


def test_bytes_whose_number_was_not_announced_are_as_good(patient: Faulty) -> None:
    patient.site.publish(patient.site.files | tree("unannounced"), NESTED)
    assert "follows" in patient.mount.ask("remount")
    patient.server.next(patient.site.target("unannounced"), unannounced)
    assert patient.is_right("unannounced")
