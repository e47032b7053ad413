"""The metadata service that an image is started with on a workstation: what our images ask, and what they are told."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Thread

import pytest

from swrepo.image import metadata
from swrepo.image.seed import Seed, Source
from swrepo.image.vm import MachinePlan

CARDS = {"52:54:01": "dhcp", "52:54:02": "10.77.0.2/24"}
SEED = Seed("i-1", "worker", "ssh-ed25519 AAAA", {"/etc/swrepo/machine.conf": "SERVER=s\n"}, CARDS, Source.SERVICE)


def told(path: str) -> str:
    status, text = metadata.answer(SEED.documents(), path)
    assert status is HTTPStatus.OK, path
    return text


def test_it_has_the_versions_that_cloud_init_knows_and_all_of_them_say_the_same():
    versions = told("/openstack").split("\n")
    assert {"latest", "2012-08-10", "2015-10-15", "2018-08-27"} <= set(versions)
    assert {told(f"/openstack/{version}/meta_data.json") for version in versions} == {
        told("/openstack/latest/meta_data.json")
    }


def test_it_tells_the_key_the_user_data_and_the_network():
    about = json.loads(told("/openstack/2018-08-27/meta_data.json"))
    assert about["public_keys"] == {"mine": "ssh-ed25519 AAAA"}
    assert about["uuid"] == "i-1"
    user = told("/openstack/2018-08-27/user_data")
    assert json.loads(user.partition("\n")[2])["write_files"][0]["content"] == "SERVER=s\n"
    links = json.loads(told("/openstack/2018-08-27/network_data.json"))["links"]
    assert [link["ethernet_mac_address"] for link in links] == list(CARDS)


def test_directories_list_what_is_in_them_however_they_are_written():
    assert told("/openstack/latest/") == told("//openstack/2018-08-27") == told("/openstack/latest?x=1")
    assert told("/openstack/latest").split("\n") == ["meta_data.json", "network_data.json", "user_data"]
    assert told("/").split("\n") == ["latest", "openstack"]


def test_it_has_amazons_form_too_for_which_cloud_init_asks():
    assert told("/latest/meta-data/").split("\n") == ["instance-id", "local-hostname"]
    assert told("/latest/meta-data/instance-id") == "i-1"


@pytest.mark.parametrize(
    "path",
    ["/latest/meta-data/ami-id", "/openstack/latest/vendor_data.json", "/openstack/2099-01-01", "/../../etc/passwd"],
)
def test_what_it_does_not_have_is_not_found(path):
    assert metadata.answer(SEED.documents(), path)[0] is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"PUT / HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 Method Not Allowed"),
        (b"\x16\x03\x01 hello\n", b"HTTP/1.1 400 Bad Request"),
        (b"", b"HTTP/1.1 400 Bad Request"),
    ],
)
def test_each_connection_is_one_request(request_, status):
    response = io.BytesIO()
    metadata.respond(SEED.documents(), io.BytesIO(request_), response)
    head, _, body = response.getvalue().partition(b"\r\n\r\n")
    assert head.splitlines()[0] == status
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head


def test_a_head_has_the_length_of_what_is_not_sent():
    response = io.BytesIO()
    metadata.respond(SEED.documents(), io.BytesIO(b"HEAD /openstack/latest/user_data HTTP/1.1\r\n\r\n"), response)
    assert response.getvalue().endswith(b"\r\n\r\n")
    assert f"Content-Length: {len(told('/openstack/latest/user_data'))}".encode() in response.getvalue()


@contextmanager
def as_qemu_does(words: list[str], connections: int) -> Iterator[int]:
    """A port at which each connection is the standard input and output of a new process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            for _ in range(connections):
                connection, _ = listener.accept()
                with connection:
                    subprocess.run(words, stdin=connection, stdout=connection, check=True)

        thread = Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_the_program_answers_over_a_socket_as_a_machine_asks(tmp_path):
    SEED.write(tmp_path)
    with as_qemu_does(metadata.command(tmp_path / SEED.source.file), 2) as port:
        address = f"http://127.0.0.1:{port}/openstack/latest"
        with urllib.request.urlopen(f"{address}/user_data") as answer:
            assert answer.read().decode() == SEED.documents()["openstack/latest/user_data"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/vendor_data.json")


def test_a_machine_that_asks_the_service_looks_like_one_of_openstack_and_has_no_disk_of_it(tmp_path):
    plan = MachinePlan("worker", 4, tmp_path / "x", source=Source.SERVICE)
    words = plan.words(tmp_path / "a,b", 2222, "tcg")
    assert any("product=OpenStack Nova" in word and str(plan.identifier) in word for word in words)
    assert not any("seed" in word for word in words)
    card = next(word for word in words if word.startswith("user,"))
    assert "net=169.254.0.0/16,guestfwd=tcp:169.254.169.254:80-cmd:" in card
    assert "a,,b/metadata.json" in card


def test_a_machine_is_started_by_either_firmware(tmp_path):
    assert "-bios" not in MachinePlan("x", 1, tmp_path / "x").words(tmp_path, 2222, "tcg")
    words = MachinePlan("x", 1, tmp_path / "x", firmware="uefi").words(tmp_path, 2222, "tcg")
    assert Path(words[words.index("-bios") + 1]).name == "OVMF.fd"


def test_the_documents_are_for_their_owner_alone(tmp_path):
    SEED.write(tmp_path)
    assert os.stat(tmp_path / "metadata.json").st_mode & 0o077 == 0
