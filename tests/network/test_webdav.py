"""`swrepo webdav`: what clients of WebDAV see of a repository, over real sockets and from the real program."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

from swrepo.publish.layout import ServerLayout
from swrepo.publish.transaction import Publisher
from tests.mount.machines import FQRN, Machine

LARGE = bytes(range(256)) * 150_000
D = "{DAV:}"


@dataclass
class Served:
    machine: Machine
    process: subprocess.Popen[str]
    netloc: str

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
        connection = http.client.HTTPConnection(self.netloc, timeout=60)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        connection.close()
        return answer

    def propfind(self, path: str, depth: str = "1", body: bytes | None = None) -> dict[str, dict[str, str | None]]:
        """Every entry by its address, with the properties that it has."""
        status, _, document = self.ask("PROPFIND", path, body, Depth=depth)
        assert status == 207, document
        found = {}
        for response in ET.fromstring(document):
            properties: dict[str, str | None] = {}
            for state in response.findall(f"{D}propstat"):
                if "200" in (state.findtext(f"{D}status") or ""):
                    for item in state.find(f"{D}prop"):
                        properties[item.tag.removeprefix(D)] = "directory" if len(item) else item.text
            found[response.findtext(f"{D}href") or ""] = properties
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    machine = Machine(tmp_path_factory.mktemp("webdav"))
    tree = machine.tree
    (tree / "directory/below").mkdir(parents=True)
    (tree / "directory/below/file.txt").write_text("below\n")
    (tree / "large").write_bytes(LARGE)
    (tree / "odd name <&%é\n").write_text("odd\n")
    (tree / "link").symlink_to("directory/below/file.txt")
    (tree / "to-directory").symlink_to(f"/cvmfs/{FQRN}/directory")
    (tree / "out").symlink_to("/etc/passwd")
    (tree / "circle").symlink_to("circle")
    os.mkfifo(tree / "fifo")
    (tree / "empty").write_bytes(b"")
    Publisher(ServerLayout(machine.server)).publish(FQRN)
    program = [sys.executable, "-m", "swrepo.cli.main", "webdav", str(machine.storage), "--key", str(machine.key)]
    program += ["--port", "0", "--cache", str(machine.prefix / "cache")]
    environment = {"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(machine.prefix)}
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"{FQRN} is at http://" in line, line + process.stderr.read()
        yield Served(machine, process, urlsplit(line.split()[3]).netloc)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_directory_is_listed_with_what_clients_need(served: Served) -> None:
    found = served.propfind("/")
    assert set(found) == {
        "/", "/directory/", "/large", "/odd%20name%20%3C%26%25%C3%A9%0A", "/link", "/to-directory/", "/empty", "/hello",
        "/secret",
    }  # fmt: skip
    assert found["/"]["resourcetype"] == found["/to-directory/"]["resourcetype"] == "directory"
    assert found["/large"]["resourcetype"] is None
    assert found["/large"]["getcontentlength"] == str(len(LARGE))
    assert found["/link"]["getcontentlength"] == "6"
    assert "getcontentlength" not in found["/directory/"]
    assert found["/directory/"]["getlastmodified"].endswith(" GMT")
    assert set(served.propfind("/", "0")) == {"/"}
    assert set(served.propfind("/to-directory/below")) == {"/to-directory/below/", "/to-directory/below/file.txt"}


def test_properties_that_are_asked_for_and_not_there_are_named(served: Served) -> None:
    body = (
        b'<a:propfind xmlns:a="DAV:"><a:prop><a:getetag/><a:nothing/><x:y xmlns:x="u&quot;rn"/></a:prop></a:propfind>'
    )
    assert list(served.propfind("/hello", "0", body)["/hello"]) == ["getetag"]
    _, _, document = served.ask("PROPFIND", "/hello", body, Depth="0")
    missing = ET.fromstring(document)[0].findall(f"{D}propstat")[1]
    assert [item.tag for item in missing.find(f"{D}prop")] == [f"{D}nothing", '{u"rn}y']
    assert "404" in (missing.findtext(f"{D}status") or "")


@pytest.mark.parametrize(
    "path", ["/large", "/link", "/to-directory/below/file.txt", "/odd%20name%20%3C%26%25%C3%A9%0A", "/empty"]
)
def test_files_have_their_bytes(served: Served, path: str) -> None:
    status, headers, body = served.ask("GET", path)
    expected = {"/large": LARGE, "/empty": b""}.get(path, b"odd\n" if "odd" in path else b"below\n")
    assert (status, body) == (200, expected)
    status, again, nothing = served.ask("HEAD", path)
    assert (status, nothing, again["content-length"]) == (200, b"", str(len(body)))
    assert served.ask("GET", path, If_None_Match=headers["etag"])[0] == 304


def test_parts_of_a_file(served: Served) -> None:
    status, headers, body = served.ask("GET", "/large", Range="bytes=1048570-2097160")
    assert (status, body) == (206, LARGE[1048570:2097161])
    assert headers["content-range"] == f"bytes 1048570-2097160/{len(LARGE)}"
    assert served.ask("GET", "/large", Range="bytes=-5")[2] == LARGE[-5:]
    assert served.ask("GET", "/large", Range=f"bytes={len(LARGE)}-")[0] == 416
    assert served.ask("GET", "/large", Range="bytes=0-1", If_Range='"other"')[0] == 200


def test_a_browser_gets_a_page(served: Served) -> None:
    status, headers, body = served.ask("GET", "/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert b'<a href="/directory/">directory/</a>' in body
    assert b"odd name &lt;&amp;%" in body


@pytest.mark.parametrize("path", ["/nothing", "/out", "/circle", "/fifo", "/../etc/passwd", "/hello/x", "/%00", "/%ff"])
def test_what_is_not_there(served: Served, path: str) -> None:
    assert served.ask("GET", path)[0] == 404
    assert served.ask("PROPFIND", path, Depth="0")[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "LOCK", "POST"])
def test_nothing_can_be_written(served: Served, method: str) -> None:
    status, headers, _ = served.ask(method, "/hello", b"x")
    assert (status, headers["allow"]) == (405, "OPTIONS, PROPFIND, GET, HEAD")


def test_what_it_can_do_is_told(served: Served) -> None:
    status, headers, _ = served.ask("OPTIONS", "/")
    assert (status, headers["dav"], headers["allow"]) == (200, "1", "OPTIONS, PROPFIND, GET, HEAD")
    assert served.ask("PROPFIND", "/hello")[0] == 207  # without a depth, which then is infinite
    status, _, body = served.ask("PROPFIND", "/", Depth="infinity")
    assert status == 403
    assert b"propfind-finite-depth" in body


@pytest.mark.parametrize(
    "body",
    [
        b"<",
        b"<propfind/>",
        b'<!DOCTYPE p [<!ENTITY a "b">]><D:propfind xmlns:D="DAV:"><D:prop>&a;</D:prop></D:propfind>',
        b"<" * 70_000,
    ],
    ids=["cut off", "no namespace", "entities", "long"],
)
def test_a_request_that_makes_no_sense_is_refused(served: Served, body: bytes) -> None:
    assert served.ask("PROPFIND", "/", body, Depth="0")[0] == 400
