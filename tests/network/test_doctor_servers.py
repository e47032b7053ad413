"""What `swrepo doctor` says of servers: each thing that can be wrong on the way, from a server that has it wrong."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swrepo.cli.diagnosis import trust
from swrepo.cli.diagnosis.finding import State
from swrepo.client.request import AccessRequest
from swrepo.objects.directory import DirectoryObjects
from swrepo.publish.create import CreateOptions, create_repository
from swrepo.publish.layout import ServerLayout
from swrepo.web.serve import serving
from tests.golden import CLOCK, golden

PROGRAM = Path(sys.executable).with_name("swrepo")
FQRN = "sw.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("server")
    create_repository(ServerLayout(directory), FQRN, CreateOptions())
    return directory


@pytest.fixture
def key(server):
    return server / "etc/cvmfs/keys" / f"{FQRN}.pub"


def doctor(prefix, *words, code=0):
    done = subprocess.run(
        [PROGRAM, "doctor", "--json", *map(str, words)],
        env={"PATH": os.environ["PATH"], "SWREPO_PREFIX": str(prefix)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)["findings"]


def of(findings, area):
    return [found for found in findings if found["area"] == area]


def only(findings, area):
    found = of(findings, area)
    assert len(found) == 1, findings
    return found[0]


@contextmanager
def answering(status=200, body=b"", **headers):
    """A web server that says the same to everybody. `Date` in the headers replaces its clock."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{found.server_port}"
        finally:
            found.shutdown()
            thread.join()


def test_of_a_server_it_says_that_each_link_holds(server, key, tmp_path):
    with serving([server / "srv/cvmfs"]) as url:
        findings = doctor(tmp_path, url, "--key", key)
    told = ["tcp", "http", "manifest", "whitelist", "certificate", "catalog"]
    assert all(found["state"] == "ok" for area in told for found in of(findings, area))
    assert all(of(findings, area) for area in told)
    assert f"revision 1 of {FQRN}" in only(findings, "manifest")["text"]
    assert "29 days" in only(findings, "whitelist")["text"] or "30 days" in only(findings, "whitelist")["text"]


def test_a_server_whose_keys_are_not_trusted_yet_is_mended_by_pointing_to_it(server, tmp_path):
    with serving([server / "srv/cvmfs"]) as url:
        findings = doctor(tmp_path, url, code=1)
        host = url.removeprefix("http://").removesuffix("/cvmfs")
    assert only(findings, "keys")["mend"] == f"PointToCVMFS {host}, or --key FILE"


def test_another_key_than_the_owners_is_an_error_of_the_whitelist(server, tmp_path):
    with serving([server / "srv/cvmfs"]) as url:
        findings = doctor(tmp_path, f"{url}/{FQRN}", "--key", golden("basic").public_key, code=1)
    assert only(findings, "manifest")["state"] == "ok"
    assert "signed by none of the 1" in only(findings, "whitelist")["text"]
    assert of(findings, "certificate") == []


def test_a_name_without_an_address(tmp_path):
    found = only(doctor(tmp_path, "no-such-host.invalid:8000", code=1), "dns")
    assert found["state"] == "error"
    assert "no-such-host.invalid has no address" in found["text"]
    assert "a repository that no configuration knows is named by its URL" in found["mend"]


def test_a_server_that_does_not_listen(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    findings = doctor(tmp_path, f"127.0.0.1:{port}", code=1)
    found = only(findings, "tcp")
    assert f"port {port} cannot be connected to: 127.0.0.1: Connection refused" in found["text"]
    assert f"nc -vz 127.0.0.1 {port}" in found["mend"]
    assert of(findings, "http") == []


def test_a_server_that_takes_connections_and_says_nothing_costs_seconds_only(tmp_path):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(8)
        begun = time.monotonic()
        findings = doctor(tmp_path, f"127.0.0.1:{mute.getsockname()[1]}", code=1)
    assert time.monotonic() - begun < 12
    assert only(findings, "tcp")["state"] == "ok"
    assert only(findings, "http")["state"] == "error"


def test_a_captive_portal_is_recognized(tmp_path, key):
    page = b"<html><body>Please log in</body></html>"
    with answering(200, page, **{"Content-Type": "text/html"}) as host:
        findings = doctor(tmp_path, f"http://{host}/cvmfs/{FQRN}", "--key", key, code=1)
    assert "captive portal" in only(findings, "http")["mend"]


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such repository"), (403, "authorization"), (503, "fault of its")]
)
def test_what_a_server_answers_is_told_apart(tmp_path, key, status, words):
    with answering(status) as host:
        findings = doctor(tmp_path, f"http://{host}/cvmfs/{FQRN}", "--key", key, code=1)
    assert f"answers {status}" in only(findings, "http")["text"]
    assert words in only(findings, "http")["mend"]


def test_a_proxy_that_refuses_is_to_blame_and_not_the_server(tmp_path, key, server):
    with answering(403) as proxy, serving([server / "srv/cvmfs"]) as url:
        words = (f"{url}/{FQRN}", "--key", key, "--proxy", f"http://{proxy};DIRECT")
        findings = doctor(tmp_path, *words, code=1)
    assert only(findings, "proxy")["mend"] == "the proxy's access list must allow this server"
    assert only(findings, "http")["state"] == "ok"
    assert only(findings, "catalog")["state"] == "ok", "another way was found"


@pytest.mark.parametrize(
    ("date", "state", "words"),
    [("Mon, 01 Jan 2001 00:00:00 GMT", "error", "days ahead of"), ("Fri, 01 Jan 2100 00:00:00 GMT", "error", "behind")],
)
def test_a_clock_that_is_wrong_is_seen_by_the_servers(tmp_path, key, date, state, words):
    with answering(404, Date=date) as host:
        found = only(doctor(tmp_path, f"http://{host}/cvmfs/{FQRN}", "--key", key, code=1), "clock")
    assert found["state"] == state
    assert words in found["text"]
    assert "timedatectl" in found["mend"]


def links(clock, tmp_path):
    repository = golden("basic")
    request = AccessRequest((repository.served.as_uri(),), (repository.public_key,), tmp_path, repository.fqrn)
    source = DirectoryObjects(repository.served)
    return {found.area: found for found in trust.trust(request, source, source, clock)}


def test_a_whitelist_that_has_expired_ends_the_chain(tmp_path):
    found = links(CLOCK.replace(year=2099), tmp_path)
    assert list(found) == ["manifest", "whitelist"]
    assert found["whitelist"].state is State.ERROR
    assert "resign" in found["whitelist"].mend


def test_a_whitelist_that_expires_soon_is_looked_at(tmp_path):
    until = links(CLOCK, tmp_path)["whitelist"].text
    assert "valid until" in until
    from datetime import datetime, timedelta

    expires = datetime.strptime(until.split("until ")[1][:16], "%Y-%m-%d %H:%M").replace(tzinfo=CLOCK.tzinfo)
    found = links(expires - timedelta(days=1), tmp_path)
    assert found["whitelist"].state is State.WARNING
    assert found["catalog"].state is State.OK


def test_an_older_revision_than_was_seen_is_an_error_of_the_certificate_step(tmp_path):
    (tmp_path / f"cvmfschecksum.{golden('basic').fqrn}").write_text("0" * 40 + "T9999999999R999999")
    found = links(CLOCK, tmp_path)
    assert "older than one already seen" in [item.text for item in found.values()][-1]
    assert "catalog" not in found


def test_a_server_that_announces_revisions_is_looked_at_where_one_is_configured(server, key, tmp_path):
    with serving([server / "srv/cvmfs"]) as url, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{free.getsockname()[1]}/api/v1"
        for announcer, state, text in (
            (f"{url.removesuffix('/cvmfs')}/api/v1", "ok", "announced revision 1 last"),
            (silent, "warning", silent),
            (f"{url}/other", "warning", "HTTP status 404"),
        ):
            (tmp_path / "etc/cvmfs").mkdir(parents=True, exist_ok=True)
            (tmp_path / "etc/cvmfs/default.local").write_text(
                f"CVMFS_SERVER_URL={url}/@fqrn@\nCVMFS_PUBLIC_KEY={key}\nCVMFS_NOTIFICATION_SERVER={announcer}\n"
                "CVMFS_HTTP_PROXY=DIRECT\n"
            )
            found = only(doctor(tmp_path, FQRN), "announcements")
            assert (found["state"], text in found["text"]) == (state, True), found
