"""Proxies as a site's PAC file says, in the place of `auto`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from swrepo.config.network import NetworkParameters
from swrepo.errors import ConfigError
from swrepo.net import pac
from swrepo.net.connect import Chain, Connection, Surroundings
from swrepo.net.routes import ProxyGroups, parse_proxies
from tests.faults import FaultServer, refusing, status

P, Q = "http://127.0.0.5:3128", "http://127.0.0.6:3128"

needs_pypac = pytest.mark.skipif(
    find_spec("pypac") is None, reason="an extra is not installed: pip install swrepo[pac]"
)


def saying(text: str) -> bytes:
    return f'function FindProxyForURL(url, host) {{ return "{text}"; }}'.encode()


@pytest.fixture
def wpad() -> Iterator[FaultServer]:
    with FaultServer({"/wpad.dat": saying("PROXY 127.0.0.5:3128; PROXY 127.0.0.6:3128; DIRECT")}) as server:
        yield server


Proxies = Callable[..., ProxyGroups]


@pytest.fixture
def proxies(tmp_path: Path) -> Iterator[Proxies]:
    with ExitStack() as stack:

        def found(text: str, *urls: str, servers: tuple[str, ...] = ("http://s.example.org/cvmfs/x",)) -> ProxyGroups:
            chain = Chain(servers, parse_proxies(text))
            connection = Connection(chain, NetworkParameters(pac_urls=urls), Surroundings({}, tmp_path / "kept"))
            stack.callback(connection.close)
            return connection.repository.routes.proxies

        yield found


@pytest.mark.parametrize(
    ("answer", "groups"),
    [
        ("DIRECT", "DIRECT"),
        ("PROXY a:1", "http://a:1"),
        ("PROXY a:1; HTTPS b:2 ;direct", "http://a:1;https://b:2;DIRECT"),
        ("SOCKS5 a:1; PROXY b:2", "http://b:2"),
    ],
)
def test_what_a_pac_file_answers_becomes_groups_that_stand_in_for_one_another(answer: str, groups: str) -> None:
    assert pac.as_groups(answer) == groups


@needs_pypac
class TestAuto:
    def test_it_stands_for_what_the_file_says(self, wpad: FaultServer, proxies: Proxies) -> None:
        assert proxies("auto", f"{wpad.url}/wpad.dat") == ((P,), (Q,), (None,))

    def test_groups_around_it_stay(self, wpad: FaultServer, proxies: Proxies) -> None:
        wpad.next("/wpad.dat", status(200, body=saying("PROXY 127.0.0.5:3128")))
        assert proxies(f"auto;{Q};DIRECT", f"{wpad.url}/wpad.dat") == ((P,), (Q,), (None,))

    def test_the_file_may_decide_by_the_server(self, wpad: FaultServer, proxies: Proxies) -> None:
        program = (
            b"function FindProxyForURL(url, host) { if (dnsDomainIs(host, '.example.org') && "
            b"shExpMatch(url, 'http://*/.cvmfspublished')) return 'PROXY 127.0.0.5:3128'; return 'DIRECT'; }"
        )
        wpad.next("/wpad.dat", status(200, body=program))
        assert proxies("auto", f"{wpad.url}/wpad.dat") == ((P,),)

    def test_files_are_looked_for_in_order(self, wpad: FaultServer, proxies: Proxies, tmp_path: Path) -> None:
        (tmp_path / "wpad.dat").write_bytes(saying("PROXY 127.0.0.6:3128"))
        with refusing() as nobody:
            urls = (f"{nobody}/wpad.dat", f"{wpad.url}/missing", f"file://{tmp_path}/wpad.dat")
            assert proxies("auto", *urls) == ((Q,),)

    def test_what_was_said_last_is_used_when_no_file_can_be_had(
        self, wpad: FaultServer, proxies: Proxies, expected_warnings: Callable[..., None]
    ) -> None:
        expected_warnings("the proxies of last time are used")
        expected = proxies("auto", f"{wpad.url}/wpad.dat")
        assert proxies("auto", f"{wpad.url}/missing") == expected

    @pytest.mark.parametrize(
        ("program", "reason"),
        [
            (b"function FindProxyForURL(url, host) { while (true) ; }", "exit code -"),
            (b"this is no program", "(?i)syntax|error"),
            (b"function FindProxyForURL(url, host) { return 'SOCKS a:1'; }", "no proxy"),
        ],
        ids=["endless", "broken", "useless"],
    )
    def test_a_file_that_is_of_no_use_is_an_error_that_says_so(
        self, wpad: FaultServer, proxies: Proxies, program: bytes, reason: str
    ) -> None:
        wpad.next("/wpad.dat", status(200, body=program))
        with pytest.raises(ConfigError, match=reason):
            proxies("auto", f"{wpad.url}/wpad.dat")


def test_without_the_extra_the_error_says_what_to_install(
    wpad: FaultServer, proxies: Proxies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    hiding = "import sys; sys.modules['pypac'] = None; from swrepo.net.pac_process import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -c "{hiding}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(ConfigError, match=r"pip install 'swrepo\[pac\]'"):
        proxies("auto", f"{wpad.url}/wpad.dat")


def test_without_an_answer_the_proxies_beside_it_are_used(
    wpad: FaultServer, proxies: Proxies, expected_warnings: Callable[..., None]
) -> None:
    expected_warnings("the others are used")
    assert proxies(f"auto;{Q};DIRECT", f"{wpad.url}/missing") == ((Q,), (None,))


def test_without_auto_nothing_is_asked(wpad: FaultServer, proxies: Proxies) -> None:
    assert proxies("DIRECT", f"{wpad.url}/wpad.dat") == ((None,),)
    assert wpad.requests == []
