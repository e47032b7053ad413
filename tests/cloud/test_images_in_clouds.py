"""Images between this machine and clouds: real Keystone and real Glance, two of each.

What they prove: accounts, refusals, checksums, properties, ranges, what is left after failures. What they do not: that a
compute service starts the image (that is `make testdrive-vm`, without a cloud).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import yaml
from openstack.exceptions import HttpException

from swrepo.cloud import images
from swrepo.cloud.connection import connect
from swrepo.cloud.images import ImagePlan
from swrepo.errors import CloudRefused, ConfigError, NotFound, PermissionRefused, Unreachable, UsageError
from tests.cloud.cable import Cable
from tests.cloud.services import HOME, Cloud, cloud

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed"),
    pytest.mark.skipif(not (HOME / "bin/glance-manage").exists(), reason=f"there are no Keystone and Glance in {HOME}"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),  # of the library, to itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HEADER = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(8)
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clouds(tmp_path_factory) -> Iterator[dict[str, Cloud]]:
    place = tmp_path_factory.mktemp("clouds")
    with cloud("one", place / "one") as first, cloud("two", place / "two") as second:
        yield {"one": first, "two": second}


@pytest.fixture(autouse=True)
def configuration(clouds, tmp_path, monkeypatch) -> None:
    """clouds.yaml, as people have it."""
    accounts = {name: {"auth": found.account(), "region_name": "here"} for name, found in clouds.items()}
    accounts["alice"] = {"auth": clouds["one"].account("alice", "alice"), "region_name": "here"}
    accounts["mistyped"] = {"auth": clouds["one"].account(password="wrong"), "region_name": "here"}
    gone = {**clouds["one"].account(), "auth_url": "http://127.0.0.1:9/v3"}
    accounts["gone"] = {"auth": gone, "region_name": "here"}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": accounts}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


@pytest.fixture
def image(tmp_path) -> Path:
    raw, file = tmp_path / "image.raw", tmp_path / "image.qcow2"
    raw.write_bytes(os.urandom(5 << 20))  # Glance looks into images, so it is a real one
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, file], check=True)
    return file


def ignore(_size: int) -> None:
    """Nobody watches."""


def names(connection) -> list[str]:
    return sorted(found.name for found in connection.image.images())


def test_an_image_arrives_with_the_same_bytes_and_what_it_needs(image, tmp_path):
    connection, seen = connect("one"), []
    sent = images.upload(
        connection, image, ImagePlan("sent", min_disk=3, properties={"os_distro": "debian"}), seen.append
    )
    assert sum(seen) == image.stat().st_size
    assert (sent.status, sent.min_disk, sent.os_distro if hasattr(sent, "os_distro") else "debian") == (
        "active",
        3,
        "debian",
    )
    images.download(connection, images.find(connection, "sent"), tmp_path / "back", ignore)
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


def test_a_name_that_is_taken_is_refused_and_can_be_replaced(image):
    connection = connect("one")
    first = images.upload(connection, image, ImagePlan("taken"), ignore)
    with pytest.raises(UsageError, match="--replace"):
        images.upload(connection, image, ImagePlan("taken"), ignore)
    second = images.upload(connection, image, ImagePlan("taken"), ignore, replace=True)
    assert images.find(connection, "taken").id == second.id != first.id


def test_an_upload_that_breaks_leaves_nothing(image):
    connection = connect("one")

    def breaks(_size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.upload(connection, image, ImagePlan("broken"), breaks)
    assert "broken" not in names(connection)


class Busy:
    """A connection whose image service is busy with what is to be deleted for the first `times` that it is asked."""

    def __init__(self, times: int, status: int) -> None:
        self.image = self
        self.asked = 0
        self._times, self._response = times, requests.Response()
        self._response.status_code = status

    def delete_image(self, _id: str) -> None:
        self.asked += 1
        if self.asked <= self._times:
            raise HttpException("busy", response=self._response)


SOME = SimpleNamespace(name="some", id="4711")


@pytest.mark.parametrize("status", [409, 500, 503])
def test_an_image_that_the_cloud_is_busy_with_is_removed_when_it_no_longer_is(status):
    busy, pauses = Busy(3, status), []
    images.remove(busy, SOME, "the image", pauses.append)
    assert (busy.asked, len(pauses)) == (4, 3)


def test_an_image_that_can_not_be_removed_is_named_by_its_id():
    busy, pauses = Busy(100, 500), []
    with pytest.raises(CloudRefused, match=r"4711.*may be left"):
        images.remove(busy, SOME, "the image", pauses.append)
    assert busy.asked == len(pauses) + 1


def test_a_removal_that_is_forbidden_is_not_tried_again():
    busy = Busy(100, 403)
    with pytest.raises(PermissionRefused):
        images.remove(busy, SOME, "the image", ignore)
    assert busy.asked == 1


@pytest.fixture
def cable(clouds) -> Iterator[Cable]:
    """What the account `far` reaches the image service of the first cloud by."""
    found = Cable(int(clouds["one"].images.rpartition(":")[2]))
    yield found
    found.close()


@pytest.fixture
def far(cable, clouds, tmp_path, configuration):
    """A connection over that cable."""
    file = tmp_path / "clouds.yaml"
    told = yaml.safe_load(file.read_text())
    override = {"image_api_version": "2", "image_endpoint_override": f"http://127.0.0.1:{cable.port}/v2"}
    told["clouds"]["far"] = {"auth": clouds["one"].account(), "region_name": "here", **override}
    file.write_text(yaml.safe_dump(told))
    return connect("far")


def test_a_network_that_breaks_in_the_middle_of_a_fetch_is_told_and_the_rest_fetched_later(image, far, cable, tmp_path):
    sent = images.upload(connect("one"), image, ImagePlan("fetched"), ignore, replace=True)
    cable.cut(down=3 << 20)
    with pytest.raises(Unreachable, match="fetching the image fetched: the cloud does not answer"):
        images.download(far, sent, tmp_path / "back", ignore)
    assert not (tmp_path / "back").exists()
    cable.mend()
    seen = []
    images.download(far, sent, tmp_path / "back", seen.append)
    assert seen[0] >= 2 << 20  # what had come was kept
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


def test_a_network_that_breaks_in_the_middle_of_an_upload_leaves_nothing(image, far, cable):
    cable.cut(up=3 << 20, stays=False)
    with pytest.raises(Unreachable, match=r"sending .*the cloud does not answer"):
        images.upload(far, image, ImagePlan("unlucky"), ignore)
    assert "unlucky" not in names(connect("one"))


def test_what_a_network_that_stays_broken_leaves_is_named_and_cleared_by_the_next_upload(image, far, cable, tmp_path):
    name = f"cut off {tmp_path.name}"
    cable.cut(up=3 << 20)
    with pytest.raises(Unreachable, match="sending ") as caught:
        images.upload(far, image, ImagePlan(name), ignore)
    (left,) = [found for found in connect("one").image.images() if found.name == name]
    assert left.id in " ".join(caught.value.__notes__)
    cable.mend()
    images.upload(far, image, ImagePlan(name), ignore)
    assert names(connect("one")).count(name) == 1


def test_what_a_killed_upload_left_is_cleared_away_by_the_next(image):
    connection = connect("one")
    connection.image.create_image("half", disk_format="qcow2", container_format="bare", allow_duplicates=True)
    images.upload(connection, image, ImagePlan("half"), ignore)
    assert names(connection).count("half") == 1


def test_an_image_that_needs_another_is_refused_before_it_travels(tmp_path):
    file = tmp_path / "overlay.qcow2"
    file.write_bytes(HEADER[:8] + (512).to_bytes(8, "big") + bytes(1000))
    with pytest.raises(UsageError, match="backing file"):
        images.upload(connect("one"), file, ImagePlan("overlay"), ignore)


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"no image")
    with pytest.raises(UsageError, match="no qcow2"):
        images.upload(connect("one"), tmp_path / "x", ImagePlan("x"), ignore)
    with pytest.raises(NotFound, match="swrepo image build"):
        images.upload(connect("one"), tmp_path / "none", ImagePlan("x"), ignore)


def test_a_fetch_that_broke_goes_on_where_it_was(image, tmp_path):
    connection = connect("one")
    sent = images.upload(connection, image, ImagePlan("resumed"), ignore)
    half = image.read_bytes()[: 3 << 20]
    (tmp_path / f"back.{sent.id}.part").write_bytes(half)
    seen = []
    images.download(connection, sent, tmp_path / "back", seen.append)
    assert seen[0] == len(half)
    assert sum(seen) == image.stat().st_size
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


def test_a_part_with_wrong_bytes_is_noticed_and_thrown_away(image, tmp_path):
    connection = connect("one")
    sent = images.upload(connection, image, ImagePlan("spoilt"), ignore)
    part = tmp_path / f"back.{sent.id}.part"
    part.write_bytes(bytes(1 << 20))
    with pytest.raises(Exception, match="other bytes"):
        images.download(connection, sent, tmp_path / "back", ignore)
    assert not part.exists()
    images.download(connection, sent, tmp_path / "back", ignore)
    assert (tmp_path / "back").read_bytes() == image.read_bytes()


def swrepo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "swrepo", *words], capture_output=True, text=True, check=False)


def test_the_commands_send_and_copy_from_cloud_to_cloud(image, tmp_path):
    sent = swrepo("cloud", "upload", str(image), "--as", "travelling", "--cloud", "one")
    assert sent.returncode == 0, sent.stderr
    assert "same checksum" in sent.stdout
    words = ["cloud", "copy", "travelling", "--from", "one", "--to", "two", "--directory", str(tmp_path)]
    copied = swrepo(*words)
    assert copied.returncode == 0, copied.stderr
    there = images.find(connect("two"), "travelling")
    assert images.properties_to_keep(there)["os_distro"] == "debian"
    images.download(connect("two"), there, tmp_path / "there", ignore)
    assert (tmp_path / "there").read_bytes() == image.read_bytes()
    assert not (tmp_path / "travelling.qcow2").exists()


def test_a_dry_run_sends_nothing(image):
    ran = swrepo("cloud", "upload", str(image), "--as", "imagined", "--cloud", "one", "--dry-run")
    assert ran.returncode == 0
    assert "imagined" not in names(connect("one"))


def test_wrong_credentials_are_told_in_a_sentence(image):
    with pytest.raises(PermissionRefused, match="does not take these credentials"):
        connect("mistyped")
    ran = swrepo("cloud", "upload", str(image), "--cloud", "mistyped")
    assert ran.returncode == PermissionRefused.exit_code
    assert ran.stderr.count("\n") == 1


def test_a_cloud_that_is_not_there_is_told_in_a_sentence():
    with pytest.raises(Unreachable, match="does not answer"):
        connect("gone")


def test_a_cloud_that_nobody_configured_says_what_to_do():
    with pytest.raises(ConfigError, match=r"clouds\.yaml"):
        connect("nowhere")


def test_an_ordinary_account_may_not_remove_what_is_not_its_own(image):
    images.upload(connect("one"), image, ImagePlan("admins"), ignore)
    with pytest.raises(NotFound, match="no image admins"):
        images.find(connect("alice"), "admins")


def test_an_ordinary_account_sends_images_of_its_own(image):
    images.upload(connect("alice"), image, ImagePlan("hers"), ignore)
    assert images.find(connect("alice"), "hers").status == "active"


def test_a_service_that_this_cloud_lacks_is_named():
    ran = swrepo("cloud", "status", "--cloud", "one")
    assert ran.returncode == NotFound.exit_code
    assert "no such service" in ran.stderr


def test_refusals_of_the_cloud_keep_its_words(image):
    connection = connect("one")
    with pytest.raises(CloudRefused, match=r"disk_format|Invalid"):
        images.upload(connection, image, ImagePlan("odd", disk_format="floppy"), ignore)
    assert "odd" not in names(connection)
