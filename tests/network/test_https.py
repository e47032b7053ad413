"""https: whose certificates are believed, where redirects may lead, and who gets to see a bearer token."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from swrepo.config.network import NetworkParameters
from swrepo.errors import Unreachable
from swrepo.net.connect import Chain, Connection, Surroundings
from swrepo.net.tokens import Tokens
from tests.faults import FaultServer, status

TOKEN = "eyJhbGciOi.a-token.x_y"


class Certificates:
    """An authority of our own, and a certificate for this machine."""

    def __init__(self, directory: Path) -> None:
        self.authority, self.server, self.key = directory / "ca.pem", directory / "server.pem", directory / "key.pem"
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)

        def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(name)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(days=1))
                .not_valid_after(now + timedelta(days=1))
            )

        ca = certificate(name, ca_key.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        own = certificate(x509.Name([]), key.public_key()).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), True
        )
        self.authority.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.server.write_bytes(own.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("authorization")))
        if target := self.server.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, *_: object) -> None:
        """Nothing."""


class HttpsServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.redirects: dict[str, str] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients that do not believe us hang up."""


@contextmanager
def https_server(certificates: Certificates) -> Iterator[HttpsServer]:
    with HttpsServer(certificates) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[HttpsServer]:
    with https_server(certificates) as server:
        yield server


Read = Callable[..., bytes]


@pytest.fixture
def read(certificates: Certificates) -> Iterator[Read]:
    with ExitStack() as stack:

        def one(url: str, name: str = "x", environment: dict[str, str] | None = None, **options: object) -> bytes:
            network = NetworkParameters(**{"ca_bundle": str(certificates.authority), **options})
            connection = Connection(Chain((url,), max_retries=0), network, Surroundings(environment or {}))
            stack.callback(connection.close)
            return connection.repository.read(name)

        yield one


class TestAuthorities:
    def test_a_file_of_them(self, server: HttpsServer, read: Read) -> None:
        assert read(server.url) == b"content"

    def test_a_directory_of_them(
        self, server: HttpsServer, read: Read, certificates: Certificates, tmp_path: Path
    ) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed: apt-get install openssl")
        shutil.copy(certificates.authority, tmp_path / "authority.pem")
        subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
        assert read(server.url, ca_bundle=None, ca_directory=str(tmp_path)) == b"content"

    def test_those_of_the_system_do_not_know_ours(self, server: HttpsServer, read: Read) -> None:
        with pytest.raises(Unreachable, match="certificate"):
            read(server.url, ca_bundle=None)
        assert server.seen == []

    def test_a_certificate_is_for_its_own_name_only(self, server: HttpsServer, read: Read) -> None:
        with pytest.raises(Unreachable, match="localhost"):
            read(server.url.replace("127.0.0.1", "localhost"))


class TestRedirects:
    def test_they_are_followed_where_that_is_allowed(self, server: HttpsServer, read: Read) -> None:
        server.redirects["/x"] = "/y"
        assert read(server.url, follow_redirects=True) == b"content"
        with pytest.raises(Unreachable, match="302"):
            read(server.url)

    def test_four_of_them_and_no_more(self, server: HttpsServer, read: Read) -> None:
        server.redirects |= {f"/{number}": f"/{number - 1}" for number in range(1, 6)}
        assert read(server.url, "4", follow_redirects=True) == b"content"
        with pytest.raises(Unreachable, match="redirects"):
            read(server.url, "5", follow_redirects=True)


class TestBearerTokens:
    def seen(self, server: HttpsServer) -> list[str | None]:
        return [token for _, token in server.seen]

    def test_a_server_that_is_configured_for_it_gets_it(self, server: HttpsServer, read: Read) -> None:
        read(server.url, environment={"BEARER_TOKEN": TOKEN}, token_servers=(server.url,))
        assert self.seen(server) == [f"Bearer {TOKEN}"]

    @pytest.mark.parametrize("others", [(), ("https://127.0.0.1",), ("https://localhost:{port}",), ("{url}/below",)])
    def test_nobody_else_does(self, server: HttpsServer, read: Read, others: tuple[str, ...]) -> None:
        servers = tuple(one.format(url=server.url, port=server.server_address[1]) for one in others)
        read(server.url, environment={"BEARER_TOKEN": TOKEN}, token_servers=servers)
        assert self.seen(server) == [None]

    def test_it_never_travels_without_tls(self) -> None:
        tokens = Tokens(("https://s",), {"BEARER_TOKEN": TOKEN}, os.geteuid())
        assert tokens.headers("http://s:443/x") == ()
        assert tokens.headers("https://s/x") == (f"Authorization: Bearer {TOKEN}",)

    def test_a_redirect_to_another_server_does_not_take_it_along(
        self, server: HttpsServer, read: Read, certificates: Certificates
    ) -> None:
        with https_server(certificates) as other, FaultServer({"/x": b"plain"}) as plain:
            server.redirects |= {"/x": f"{other.url}/x", "/plain": f"{plain.url}/x"}
            given = {"environment": {"BEARER_TOKEN": TOKEN}, "token_servers": (server.url,), "follow_redirects": True}
            assert read(server.url, **given) == b"content"
            assert read(server.url, "plain", **given) == b"plain"
            assert self.seen(server) == [f"Bearer {TOKEN}"] * 2
            assert self.seen(other) == [None]
            assert "authorization" not in plain.requests[0].headers

    def test_a_proxy_does_not_get_to_see_it(self, server: HttpsServer, certificates: Certificates) -> None:
        with FaultServer({}) as proxy:
            proxy.always(status(502))
            network = NetworkParameters(ca_bundle=str(certificates.authority), token_servers=(server.url,))
            chain = Chain((server.url,), ((proxy.url,),), max_retries=0)
            connection = Connection(chain, network, Surroundings({"BEARER_TOKEN": TOKEN}))
            with pytest.raises(Unreachable):
                connection.repository.read("x")
            connection.close()
            assert proxy.requests
            assert all(TOKEN not in str(asked.headers) for asked in proxy.requests)

    def found(self, environment: dict[str, str], uid: int = 12345) -> str | None:
        headers = Tokens(("https://s",), environment, uid).headers("https://s/x")
        return headers[0].removeprefix("Authorization: Bearer ") if headers else None

    def test_it_is_looked_for_in_the_order_of_the_rules(self, tmp_path: Path) -> None:
        uid = os.geteuid()
        named, runtime = tmp_path / "named", tmp_path / f"bt_u{uid}"
        named.write_text(" named \n")
        runtime.write_text("of-the-session")
        everywhere = {"BEARER_TOKEN": "given", "BEARER_TOKEN_FILE": str(named), "XDG_RUNTIME_DIR": str(tmp_path)}
        assert self.found(everywhere, uid) == "given"
        assert self.found({**everywhere, "BEARER_TOKEN": ""}, uid) == "named"
        assert self.found({"XDG_RUNTIME_DIR": str(tmp_path)}, uid) == "of-the-session"
        assert self.found({}) is None

    def test_a_new_one_is_used_at_once(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        tokens = Tokens(("https://s",), {"BEARER_TOKEN_FILE": str(file)}, 0)
        assert tokens.headers("https://s/x") == ()
        for token in ("first", "the-second"):
            file.write_text(token)
            assert tokens.headers("https://s/x") == (f"Authorization: Bearer {token}",)

    def test_a_link_or_a_file_of_somebody_else_in_a_shared_directory_is_not_used(
        self, tmp_path: Path, expected_warnings: Callable[..., None]
    ) -> None:
        expected_warnings("is not a file of the user", "cannot be read")
        (tmp_path / "bt_u12345").write_text("somebody-elses")
        assert self.found({"XDG_RUNTIME_DIR": str(tmp_path)}) in (None, "")
        (tmp_path / f"bt_u{os.geteuid()}").symlink_to(tmp_path / "bt_u12345")
        assert self.found({"XDG_RUNTIME_DIR": str(tmp_path)}, os.geteuid()) in (None, "")

    def test_what_cannot_stand_in_a_header_is_no_token(self, expected_warnings: Callable[..., None]) -> None:
        expected_warnings("no bearer token")
        assert self.found({"BEARER_TOKEN": "a\r\nHost: evil"}) is None


def test_who_asks_is_told_where_that_is_wanted(read: Read) -> None:
    with FaultServer({"/x": b"content"}) as server:
        read(server.url, tracing=True, headers=("X-CVMFS-site: T2",), environment={"CERNVM_UUID": "me"})
        read(server.url)
        told, silent = (asked.headers for asked in server.requests)
    assert told["x-cvmfs-pid"] == str(os.getpid())
    assert (told["x-cvmfs-uid"], told["x-cvmfs-site"]) == (str(os.geteuid()), "T2")
    assert told["user-agent"].endswith(" me")
    assert not any(name.startswith("x-cvmfs") for name in silent)
