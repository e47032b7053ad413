"""A compute and a network service in memory, with as much of their interfaces as launching machines needs.

What it proves: which calls are made, in which order, what is left after refusals, and what people are told. What it does
not: that a real Nova or Neutron takes these calls, or that traffic flows; the images themselves are started by
`make testdrive-vm`. Limits and faults are set by the test: `quota`, `fault`, `has_outside`.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = "project"
_IDS = itertools.count(1)
_KINDS = {
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "floatingips": "floatingip",
    "networks": "network",
    "ports": "port",
}


def new_id(kind: str) -> str:
    return f"{kind}-{next(_IDS)}"


@dataclass
class FakeCloud:
    """What there is, by kind; and every call that was made."""

    url: str = ""
    quota: int = 10
    fault: str = ""
    has_outside: bool = True
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    things: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in _KINDS})
    calls: list[str] = field(default_factory=list)
    flavors: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"id": "f1", "name": "tiny", "ram": 512, "vcpus": 1, "disk": 1},
            {"id": "f2", "name": "small", "ram": 2048, "vcpus": 1, "disk": 20},
            {"id": "f3", "name": "large", "ram": 8192, "vcpus": 4, "disk": 80},
        ]
    )

    def __post_init__(self) -> None:
        self.add_image("swrepo-server")
        self.add("networks", name="private", **{"router:external": False})
        self.add("networks", name="public", **{"router:external": True})

    def add(self, kind: str, **values: Any) -> dict[str, Any]:
        thing = {"id": new_id(kind), "project_id": PROJECT, "tenant_id": PROJECT, **values}
        self.things[kind][thing["id"]] = thing
        return thing

    def add_image(self, name: str, **values: Any) -> None:
        image = {
            "id": new_id("image"),
            "name": name,
            "status": "active",
            "min_disk": 2,
            "min_ram": 512,
            "owner": PROJECT,
        }
        self.images[image["id"]] = {**image, **values}

    # Calls: (status, document)

    def identity(self, method: str, path: str, _body: Any) -> tuple[int, Any]:
        if path.endswith("/auth/tokens") and method == "POST":
            services = [("compute", "/compute/v2.1"), ("network", "/network"), ("image", "/image"), ("identity", "/v3")]
            catalog = [
                {
                    "type": kind,
                    "id": kind,
                    "name": kind,
                    "endpoints": [
                        {
                            "id": kind,
                            "interface": "public",
                            "region": "here",
                            "region_id": "here",
                            "url": self.url + where,
                        }
                    ],
                }
                for kind, where in services
            ]
            token = {
                "methods": ["password"],
                "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": PROJECT, "name": PROJECT, "domain": {"id": "default", "name": "Default"}},
                "roles": [],
                "catalog": catalog,
                "expires_at": "2999-01-01T00:00:00.000000Z",
                "issued_at": "2020-01-01T00:00:00.000000Z",
            }
            return 201, {"token": token}
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": self.url + "/v3"}]}
        return 200, {"version": version}

    def compute(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if path == "/flavors/detail":
            return 200, {"flavors": self.flavors}
        if path.startswith("/os-keypairs"):
            return self._keypairs(method, path, body)
        if path in ("/servers", "/servers/detail") and method == "GET":
            return 200, {"servers": list(self.servers.values())}
        if path == "/servers" and method == "POST":
            return self._create(body["server"])
        if match := re.fullmatch(r"/servers/([^/]+)", path):
            return self._server(method, match[1])
        if match := re.fullmatch(r"/servers/([^/]+)/action", path):
            name = body["createImage"]["name"]
            self.add_image(name)
            found = next(image for image in self.images.values() if image["name"] == name)
            return 202, {"image_id": found["id"]}
        version = {"id": "v2.1", "status": "CURRENT", "version": "2.90", "min_version": "2.1"}
        return 200, {"version": {**version, "links": [{"rel": "self", "href": self.url + "/compute/v2.1/"}]}}

    def _create(self, wanted: dict[str, Any]) -> tuple[int, Any]:
        if len(self.servers) >= self.quota:
            return 403, {
                "forbidden": {"code": 403, "message": "Quota exceeded for instances: Requested 1, but already used"}
            }
        server = {
            **wanted,
            "id": new_id("server"),
            "status": "ERROR" if self.fault else "ACTIVE",
            "addresses": {"private": [{"addr": "10.0.0.5", "version": 4}]},
            "links": [],
        }
        if self.fault:
            server["fault"] = {"code": 500, "message": self.fault}
        self.servers[server["id"]] = server
        self.add("ports", device_id=server["id"], name="")
        return 202, {"server": {"id": server["id"], "links": []}}

    def _server(self, method: str, identifier: str) -> tuple[int, Any]:
        server = self.servers.get(identifier)
        if server is None:
            return 404, {"itemNotFound": {"code": 404, "message": "Instance could not be found."}}
        if method == "DELETE":
            del self.servers[identifier]
            return 204, None
        return 200, {"server": server}

    def _keypairs(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "POST":
            key = body["keypair"]
            self.keys[key["name"]] = key
            return 201, {"keypair": key}
        name = path.removeprefix("/os-keypairs").strip("/")
        if method == "DELETE":
            self.keys.pop(name)
            return 204, None
        if name and name not in self.keys:
            return 404, {"itemNotFound": {"code": 404, "message": "no such key"}}
        if name:
            return 200, {"keypair": self.keys[name]}
        return 200, {"keypairs": [{"keypair": key} for key in self.keys.values()]}

    def network(self, method: str, path: str, body: Any, query: dict[str, str]) -> tuple[int, Any]:
        match = re.fullmatch(r"/v2\.0/([a-z-]+)(?:/([^/]+))?", path)
        if match is None:
            version = {
                "id": "v2.0",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": self.url + "/network/v2.0/"}],
            }
            return 200, {"versions": [version]}
        kind, identifier = match[1], match[2]
        word, there = _KINDS[kind], self.things[kind]
        if method == "POST":
            return 201, {word: self.add(kind, **self._completed(kind, body[word]))}
        if identifier and identifier not in there:
            return 404, {
                "NeutronError": {"type": "NotFound", "message": f"{word} {identifier} could not be found", "detail": ""}
            }
        if method == "DELETE":
            del there[str(identifier)]
            return 204, None
        if method == "PUT":
            there[str(identifier)].update(body[word])
        if identifier:
            return 200, {word: there[identifier]}
        found = [thing for thing in there.values() if all(str(thing.get(key)) == value for key, value in query.items())]
        if kind == "networks" and not self.has_outside:
            found = [thing for thing in found if not thing["router:external"]]
        return 200, {kind.replace("-", "_"): found}

    def _completed(self, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        if kind == "floatingips":
            return {"port_id": None, "floating_ip_address": f"203.0.113.{len(self.things[kind]) + 1}", **wanted}
        return {"port_range_min": None, "port_range_max": None, "remote_ip_prefix": None, **wanted}

    def image(self, _method: str, path: str, _body: Any) -> tuple[int, Any]:
        if path == "/v2/images":
            return 200, {"images": list(self.images.values())}
        if match := re.fullmatch(r"/v2/images/([^/]+)", path):
            return 200, self.images[match[1]]
        version = {"id": "v2.15", "status": "CURRENT", "links": [{"rel": "self", "href": self.url + "/image/v2/"}]}
        return 200, {"versions": [version]}


class _Handler(BaseHTTPRequestHandler):
    cloud: FakeCloud
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        words = dict(part.split("=", 1) for part in query.split("&") if "=" in part)
        words = {key: value for key, value in words.items() if key not in ("limit", "marker")}
        self.cloud.calls.append(f"{self.command} {path}")
        services: list[tuple[str, Callable[[], tuple[int, Any]]]] = [
            ("/compute/v2.1", lambda: self.cloud.compute(self.command, path.removeprefix("/compute/v2.1"), body)),
            ("/network", lambda: self.cloud.network(self.command, path.removeprefix("/network"), body, words)),
            ("/image", lambda: self.cloud.image(self.command, path.removeprefix("/image"), body)),
            ("/v3", lambda: self.cloud.identity(self.command, path, body)),
        ]
        status, document = next((answer() for prefix, answer in services if path.startswith(prefix)), (404, {}))
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Subject-Token", "token")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def running_cloud() -> Iterator[FakeCloud]:
    """A cloud that answers on loopback."""
    found = FakeCloud()
    handler = type("Handler", (_Handler,), {"cloud": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
