"""Images in a cloud: sent with a checksum, fetched so that an interrupted copy goes on, never left half there."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from swrepo.cloud.connection import Connection, refusals
from swrepo.errors import CloudRefused, CorruptObject, NotFound, SwrepoError, UsageError

Advance = Callable[[int], None]
"""Told how many bytes more have travelled."""

UNFINISHED = ("queued", "saving", "uploading", "importing")
_KEPT = ("hw_", "os_", "img_", "swrepo_", "architecture")
_SET_BY_THE_CLOUD = ("os_hash_algo", "os_hash_value", "os_hidden")
_BLOCK = 1 << 20
_PARTIAL_CONTENT, _CONFLICT, _SERVER_ERRORS = 206, 409, 500
_QCOW2 = b"QFI\xfb"
_BACKING = slice(8, 16)
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries to remove an image that its cloud is still busy with."""


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What an image is to be called and to need. Sizes in GB of disk and MB of memory."""

    name: str
    min_disk: int = 2
    min_ram: int = 512
    disk_format: str = "qcow2"
    properties: Mapping[str, str] = field(default_factory=dict)


class _Counted:
    """A file that reports what was read from it, and takes its checksum."""

    def __init__(self, source: BinaryIO, size: int, advance: Advance) -> None:
        self._source = source
        self.len = size  # whence requests takes the length, without which Glance takes no image
        self._advance = advance
        self.digest = hashlib.sha512()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size if size > 0 else _BLOCK)
        self.digest.update(data)
        self._advance(len(data))
        return data


def check_file(file: Path) -> None:
    """Refuse, before anything travels, what a cloud would refuse after it has."""
    try:
        with file.open("rb") as source:
            head = source.read(16)
    except OSError as error:
        raise NotFound(f"cannot read the image {file}: {error.strerror}; 'swrepo image build' makes one") from error
    if not head.startswith(_QCOW2):
        raise UsageError(f"{file} is no qcow2 image; 'swrepo image build' makes one")
    if any(head[_BACKING]):
        raise UsageError(
            f"{file} needs another image (a backing file), which clouds refuse; "
            f"make a whole one: qemu-img convert -O qcow2 {file} whole.qcow2"
        )


def find(connection: Connection, name: str) -> Any:
    """The image of this name or id. NotFound where there is none, UsageError where there are several."""
    with refusals(f"looking for the image {name}"):
        found = [image for image in connection.image.images() if name in (image.name, image.id)]
    complete = [image for image in found if image.status not in UNFINISHED]
    if len(complete) > 1:
        ids = ", ".join(image.id for image in complete)
        raise UsageError(f"there are {len(complete)} images {name}; name one by its id: {ids}")
    if not complete:
        more = f" ({len(found)} of that name are not complete)" if found else ""
        raise NotFound(f"the cloud has no image {name}{more}; 'swrepo cloud upload' sends one")
    return complete[0]


def upload(connection: Connection, file: Path, plan: ImagePlan, advance: Advance, *, replace: bool = False) -> Any:
    """Send an image file; the image, active and with the same checksum. Nothing is left of one that failed.

    UsageError where the name is taken (with `replace`, the old one goes once the new one is there).
    """
    check_file(file)
    old = _same_name(connection, plan.name, replace=replace)
    with refusals(f"creating the image {plan.name}"):
        image = connection.image.create_image(
            plan.name,
            disk_format=plan.disk_format,
            container_format="bare",
            min_disk=plan.min_disk,
            min_ram=plan.min_ram,
            allow_duplicates=True,
            validate_checksum=False,
            wait=False,
            **plan.properties,
        )
    try:
        with refusals(f"sending {file}"), file.open("rb") as source:
            counted = _Counted(source, file.stat().st_size, advance)
            headers = {"Content-Type": "application/octet-stream", "Accept": ""}
            _check_response(connection.image.put(f"/images/{image.id}/file", data=counted, headers=headers))
            image = connection.image.get_image(image.id)
        _check_sum(image, counted.digest.hexdigest())
    except BaseException as error:
        try:
            remove(connection, image, "what there is of the image")
        except SwrepoError as left:
            error.add_note(str(left))
        raise
    for one in old:
        remove(connection, one, "the image that was there before:")
    return image


def remove(connection: Connection, image: Any, what: str, pause: Callable[[float], None] = time.sleep) -> None:
    """Delete an image; one that is gone already is as good.

    A service that has just lost the sender of an image tidies up after it at the same time, and answers a deletion that
    meets it with 409 or even 500. So those are asked again; the last refusal names the image, which is left there.
    """
    import openstack.exceptions as sdk

    with refusals(f"removing {what} {image.name} ({image.id}), which may be left"):
        for seconds in _PAUSES:
            try:
                connection.image.delete_image(image.id)
            except sdk.HttpException as error:
                status = error.status_code or _SERVER_ERRORS
                if status != _CONFLICT and status < _SERVER_ERRORS:
                    raise
            else:
                return
            pause(seconds)
        connection.image.delete_image(image.id)


def download(connection: Connection, image: Any, file: Path, advance: Advance) -> None:
    """Fetch an image into `file`, which appears when it is complete and right. What an earlier try fetched is used."""
    partial = file.with_name(f"{file.name}.{image.id}.part")
    have = partial.stat().st_size if partial.exists() else 0
    if image.size and have > image.size:
        have = 0
    with refusals(f"fetching the image {image.name}"), partial.open("r+b" if have else "wb") as out:
        if not image.size or have < image.size:
            headers = {"Range": f"bytes={have}-"} if have else {}
            response = connection.image.get(f"/images/{image.id}/file", stream=True, headers=headers)
            _check_response(response)
            if have and response.status_code != _PARTIAL_CONTENT:
                have = 0  # this cloud sends all of it again
            out.seek(have)
            advance(have)
            for block in response.iter_content(_BLOCK):
                out.write(block)
                advance(len(block))
        else:
            advance(have)
        out.truncate(max(out.tell(), have))
        out.flush()
        os.fsync(out.fileno())
    try:
        _check_sum(image, _sum_of(partial))
    except CorruptObject:
        partial.unlink()
        raise
    partial.replace(file)


def properties_to_keep(image: Any) -> dict[str, str]:
    """What a copy takes over besides the bytes."""
    told = {**(image.properties or {}), **image.to_dict(computed=False)}
    return {
        key: str(value)
        for key, value in told.items()
        if key.startswith(_KEPT) and key not in _SET_BY_THE_CLOUD and value not in (None, "", False)
    }


def _same_name(connection: Connection, name: str, *, replace: bool) -> list[Any]:
    """The images of that name that are to go. Those that were never completed go at once."""
    with refusals(f"looking for images called {name}"):
        mine = connection.current_project_id
        found = [image for image in connection.image.images(name=name) if image.owner in (None, mine)]
        for image in found:
            if image.status in UNFINISHED:
                remove(connection, image, "the unfinished image")
    complete = [image for image in found if image.status not in UNFINISHED]
    if complete and not replace:
        raise UsageError(f"there is an image {name} already ({complete[0].id}); --replace exchanges it")
    return complete


def _check_response(response: Any) -> None:
    import openstack.exceptions

    openstack.exceptions.raise_from_response(response)


def _check_sum(image: Any, digest: str) -> None:
    if image.hash_algo == "sha512" and image.hash_value != digest:
        raise CorruptObject(f"the image {image.name} in the cloud has other bytes than were meant; nothing was kept")
    if image.status != "active":
        raise CloudRefused(f"the image {image.name} is {image.status}, not active; ask the cloud's operators")


def _sum_of(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha512").hexdigest()
