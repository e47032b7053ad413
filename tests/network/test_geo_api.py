"""The Geo API of `swrepo serve`, asked as clients ask; and the database that it answers from, kept up to date."""

from __future__ import annotations

import asyncio
import http.server
import io
import os
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swrepo.cli.cvmfs_server import main as cvmfs_server
from swrepo.errors import FormatError, PermissionRefused, UsageError
from swrepo.net.distance import Distances
from swrepo.net.http import HttpClient
from swrepo.publish.layout import ServerLayout
from swrepo.replica.geo_update import GeoSettings, load, update
from swrepo.web.geo import GeoAnswers, Place, Question, Refused, asked, distance
from swrepo.web.places import Database
from swrepo.web.serve import serving
from tests.geo_database import write_places

GENEVA, CHICAGO, TOKYO, BERLIN = "192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32", "127.0.0.0/8"
PLACES = {GENEVA: (46.2, 6.1), CHICAGO: (41.8, -87.7), TOKYO: (35.7, 139.7), BERLIN: (52.5, 13.4)}
NAMES = {
    "geneva.example.org": ["192.0.2.1"],
    "chicago.example.org": ["198.51.100.1"],
    "tokyo.example.org": ["2001:db8::1"],
    "cdn.example.org": ["198.51.100.9"],
    "ip.cdn.example.org": ["192.0.2.9"],
}
WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def answers(tmp_path: Path) -> GeoAnswers:
    async def resolve(name: str) -> Sequence[str]:
        return NAMES.get(name, ())

    return GeoAnswers(Database(write_places(tmp_path / "places.mmdb", PLACES)), resolve)


def order(answers: GeoAnswers, origin: str, *servers: str, remote: str = "127.0.0.1", **headers: str) -> str:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(answers.order(Question(origin, servers), remote, names)).strip()


ALL = ("tokyo.example.org", "chicago.example.org", "geneva.example.org")


def test_servers_are_put_in_order_from_where_the_request_comes(answers: GeoAnswers) -> None:
    assert order(answers, "a-client", *ALL) == "3,2,1"
    assert order(answers, "a-client", *ALL, remote="2001:db8::5") == "1,3,2"
    assert order(answers, "a-client", *ALL, X_Forwarded_For="10.0.0.1, 198.51.100.7") == "2,3,1"


def test_the_proxy_that_is_named_counts_and_not_who_says_so(answers: GeoAnswers) -> None:
    assert order(answers, "tokyo.example.org", *ALL) == "1,3,2"
    assert order(answers, "no-proxy.example.org", *ALL, remote="198.51.100.7") == "2,3,1"


def test_servers_that_nobody_knows_come_last(answers: GeoAnswers) -> None:
    assert order(answers, "x", "unknown.example.org", *ALL) == "4,3,2,1"
    with pytest.raises(Refused, match="no server addr found"):
        order(answers, "x", "unknown.example.org", "bad name")
    with pytest.raises(Refused, match="remote addr not found"):
        order(answers, "x", *ALL, remote="10.0.0.1")
    with pytest.raises(Refused, match="more than"):
        order(answers, "x", *["geneva.example.org"] * 100)


def test_proxies_to_fall_back_on_are_put_in_order_and_servers_by_the_nearest_of_them(answers: GeoAnswers) -> None:
    words = (*ALL, "+PXYSEP+", "tokyo.example.org", "chicago.example.org")
    assert order(answers, "x", *words, remote="198.51.100.7") == "2,3,1,6,5,4"
    assert order(answers, "x", *words, remote="2001:db8::5") == "1,3,2,5,6,4"


def test_behind_a_content_delivery_network_its_own_servers_are_not_meant(answers: GeoAnswers) -> None:
    servers = ("chicago.example.org", "cdn.example.org")
    assert order(answers, "x", *servers, remote="10.0.0.1", CF_Connecting_IP="192.0.2.7") == "2,1"


def test_only_questions_about_repositories_are_ones() -> None:
    assert asked("/cvmfs/sw.example.org/api/v1.0/geo/a%20b/x,y?z") == Question("a b", ("x", "y"))
    for target in (
        "/cvmfs/../api/v1.0/geo/x/y",
        "/cvmfs/sw.example.org/api/v1.0/geo/x",
        "/sw.example.org/api/v1.0/geo/x/y",
    ):
        assert asked(target) is None


def test_distances_are_those_of_the_globe() -> None:
    assert distance(Place(46.2, 6.1), Place(46.2, 6.1)) == 0
    assert distance(Place(0, 0), Place(0, 180)) == pytest.approx(3.141592653589793)
    assert distance(Place(46.2, 6.1), Place(41.8, -87.7)) * 6371 == pytest.approx(7055, rel=0.01)


def test_a_client_gets_its_order_from_a_server_with_a_database(tmp_path: Path) -> None:
    directory = tmp_path / "srv"
    directory.mkdir()
    places = write_places(
        tmp_path / "places.mmdb",
        {"127.0.0.2/32": (46.2, 6.1), "127.0.0.3/32": (41.8, -87.7), "127.0.0.1/32": (41.9, -87.6)},
    )
    with serving([directory], geo=places) as url:
        client = HttpClient()
        servers = [
            f"{url}/sw.example.org",
            "http://127.0.0.2/cvmfs/sw.example.org",
            "http://127.0.0.3/cvmfs/sw.example.org",
        ]
        found = Distances(client, lambda: "a-client", sample=lambda _all, _number: servers[:1]).order(servers, (), None)
        client.close()
        assert found is not None
        assert not found.measured
        assert found.servers == (servers[0], servers[2], servers[1])
        answer = urllib.request.urlopen(f"{url}/sw.example.org/api/v1.0/geo/x/127.0.0.2,127.0.0.3")
        assert (answer.headers["Cache-Control"], answer.read()) == ("max-age=3600", b"2,1\n")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/sw.example.org/api/v1.0/geo/x/10.0.0.1")
        assert (refused.value.code, refused.value.headers["Cache-Control"]) == (400, "max-age=300")
        refused.value.close()


def test_without_a_database_there_is_no_such_thing_until_one_comes(tmp_path: Path) -> None:
    seconds = [0.0]
    database = Database(tmp_path / "places.mmdb", lambda: seconds[0])
    assert not database.is_there
    (tmp_path / "places.mmdb").write_bytes(b"no database")
    seconds[0] += 600
    assert database.find("192.0.2.1") is None
    assert "is no MaxMind database" in database.trouble
    write_places(tmp_path / "new", {GENEVA: (1.0, 2.0)}).replace(tmp_path / "places.mmdb")
    seconds[0] += 600
    assert database.find("192.0.2.1") == Place(1, 2)
    (tmp_path / "places.mmdb").unlink()
    seconds[0] += 600
    assert database.find("192.0.2.1") == Place(1, 2)
    database.close()


@pytest.fixture
def layout(tmp_path: Path) -> ServerLayout:
    return ServerLayout(tmp_path / "server")


def test_a_file_that_is_here_is_linked(layout: ServerLayout, tmp_path: Path) -> None:
    file = write_places(tmp_path / "mine.mmdb", PLACES)
    assert "now" in update(layout, GeoSettings(file=str(file)), WEDNESDAY)
    assert os.readlink(layout.geo_database) == str(file)
    assert "now" not in update(layout, GeoSettings(file=str(file)), WEDNESDAY)
    with pytest.raises(FormatError):
        update(layout, GeoSettings(file=str(tmp_path / "missing")), WEDNESDAY)
    assert layout.geo_database.exists()
    update(layout, GeoSettings(file="NONE"), WEDNESDAY)
    assert not layout.geo_database.exists()


@pytest.fixture
def maxmind(tmp_path: Path) -> Iterator[GeoSettings]:
    """A server that gives the database to the account that it knows."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(write_places(tmp_path / "made", PLACES), "GeoLite2-City_20261124/GeoLite2-City.mmdb")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Basic MTIzNDpzZWNyZXQ="
            body = buffer.getvalue() if known else b"Invalid license key"
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if "broken" not in self.path else bytes(len(body)))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield GeoSettings(account="1234", key="secret", url=f"http://127.0.0.1:{server.server_port}/download")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def changed(settings: GeoSettings, **values: str) -> GeoSettings:
    return replace(settings, **values)


def test_the_database_is_fetched_with_an_account(layout: ServerLayout, maxmind: GeoSettings) -> None:
    with pytest.raises(UsageError, match="CVMFS_GEO_LICENSE_KEY are not set"):
        update(layout, changed(maxmind, key=""), WEDNESDAY)
    with pytest.raises(PermissionRefused, match="does not accept"):
        update(layout, changed(maxmind, key="wrong"), WEDNESDAY)
    assert not layout.geo_database.exists()
    assert "up to date" in update(layout, maxmind, WEDNESDAY)
    before = layout.geo_database.stat()
    with pytest.raises(FormatError, match="no tar archive"):
        update(layout, changed(maxmind, url=f"{maxmind.url}/broken"), WEDNESDAY)
    assert layout.geo_database.stat() == before
    assert Database(layout.geo_database).find("192.0.2.1") == Place(*PLACES[GENEVA])
    assert sorted(path.name for path in layout.geo_database.parent.iterdir()) == [
        ".last_attempt_day",
        "GeoLite2-City.mmdb",
    ]


@pytest.mark.parametrize(
    ("days", "moment", "said"),
    [
        (10, WEDNESDAY, "good for 14"),
        (20, WEDNESDAY, "waits for its day"),
        (20, WEDNESDAY - timedelta(days=1, hours=3), "waits for its day"),
        (20, WEDNESDAY - timedelta(days=1), "up to date"),
        (40, WEDNESDAY, "up to date"),
    ],
)
def test_it_is_fetched_in_time(
    layout: ServerLayout, maxmind: GeoSettings, days: int, moment: datetime, said: str
) -> None:
    write_places(layout.geo_database, PLACES)
    os.utime(layout.geo_database, ns=(0, int((moment - timedelta(days=days)).timestamp() * 10**9)))
    assert said in update(layout, maxmind, moment, lazily=True)


def test_a_failure_is_not_tried_again_on_the_same_day(layout: ServerLayout, maxmind: GeoSettings) -> None:
    write_places(layout.geo_database, PLACES)
    os.utime(layout.geo_database, (0, 0))
    with pytest.raises(PermissionRefused):
        update(layout, changed(maxmind, key="wrong"), WEDNESDAY, lazily=True)
    assert "tried today" in update(layout, maxmind, WEDNESDAY, lazily=True)
    assert "up to date" in update(layout, maxmind, WEDNESDAY + timedelta(days=1), lazily=True)


def test_settings_come_from_the_files_of_the_original(
    layout: ServerLayout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = write_places(tmp_path / "mine.mmdb", PLACES)
    layout.local.parent.mkdir(parents=True)
    layout.local.write_text(f"CVMFS_GEO_DB_FILE={file}\nCVMFS_UPDATEGEO_DAY=6\nCVMFS_GEO_AUTO_UPDATE=false\n")
    found = load(layout)
    assert (found.file, found.day, found.hour, found.after_snapshots, found.is_wanted) == (
        str(file),
        6,
        10,
        False,
        True,
    )
    monkeypatch.setenv("SWREPO_PREFIX", str(layout.prefix))
    assert cvmfs_server(["update-geodb", "-l"]) == 0
    assert "GeoLite2-City.mmdb is" in capsys.readouterr().out
    assert layout.geo_database.exists()
