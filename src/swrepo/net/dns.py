"""One question to one name server: the addresses of a name, over UDP, or TCP where the answer is long (RFC 1035, 3596).

For those who name a server of their own; everybody else's names go through the system, which knows more ways.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from swrepo.errors import ConfigError

_PORT = 53
_A, _AAAA, _IN = 1, 28, 1
_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_IS_ANSWER, _CUT_OFF, _RECURSE, _CODE = 0x8000, 0x0200, 0x0100, 0x000F
_NO_SUCH_NAME = 3
_POINTER = 0xC0
_LARGEST = 65535
_LONGEST_LABEL = 63


class NoAnswer(Exception):
    """The name server was silent, refused, or said something that is no answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """Addresses, and the seconds for which they hold."""

    addresses: tuple[str, ...]
    ttl: float


def server_address(text: str) -> tuple[str, int]:
    """`10.0.0.1`, `10.0.0.1:5353`, `::1` or `[::1]:5353`; ConfigError."""
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        host = host if bracket else text
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return str(ip_address(host)), int(port)
    except ValueError as error:
        raise ConfigError(f"CVMFS_DNS_SERVER={text} is not the address of a name server, such as 10.0.0.1") from error


def look_up(name: str, server: tuple[str, int], timeout: float, retries: int, families: tuple[int, ...]) -> Found:
    """The addresses of `name`, those of the first of `families` (4, 6) first; none if it has none. Raises NoAnswer."""
    addresses: list[str] = []
    ttl = float("inf")
    for family in families:
        found = _ask(name, _AAAA if family == 6 else _A, server, timeout, retries)
        addresses += found.addresses
        ttl = min(ttl, found.ttl)
    return Found(tuple(addresses), ttl if addresses else 0.0)


def _ask(name: str, kind: int, server: tuple[str, int], timeout: float, retries: int) -> Found:
    number = secrets.randbelow(1 << 16)
    try:
        labels = name.rstrip(".").encode("idna").split(b".")
    except UnicodeError as error:
        raise NoAnswer(f"{name} is no name of a host") from error
    encoded = b"".join(bytes((len(label),)) + label for label in labels if len(label) <= _LONGEST_LABEL) + b"\0"
    question = encoded + struct.pack("!HH", kind, _IN)
    query = _HEADER.pack(number, _RECURSE, 1, 0, 0, 0) + question
    for _ in range(retries + 1):
        with suppress(OSError):
            answer = _over_udp(query, question, number, server, timeout)
            if answer is not None and _HEADER.unpack_from(answer)[1] & _CUT_OFF:
                answer = _over_tcp(query, server, timeout)
            if answer is not None:
                return _addresses(answer, number, question, kind)
    raise NoAnswer(f"the name server {server[0]} does not answer")


def _over_udp(query: bytes, question: bytes, number: int, server: tuple[str, int], timeout: float) -> bytes | None:
    """The datagram that answers this very question; None when time is over."""
    deadline = time.monotonic() + timeout
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.connect(server)  # the system drops what comes from anybody else
        connection.send(query)
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            answer = connection.recv(_LARGEST)
            if _answers(answer, number, question):
                return answer
    return None


def _over_tcp(query: bytes, server: tuple[str, int], timeout: float) -> bytes:
    with socket.create_connection(server, timeout) as connection, connection.makefile("rb") as stream:
        connection.sendall(struct.pack("!H", len(query)) + query)
        return stream.read(int.from_bytes(stream.read(2)))


def _answers(answer: bytes, number: int, question: bytes) -> bool:
    if len(answer) < _HEADER.size + len(question):
        return False
    its_number, flags, questions, *_ = _HEADER.unpack_from(answer)
    asked = answer[_HEADER.size : _HEADER.size + len(question)]
    return its_number == number and bool(flags & _IS_ANSWER) and questions == 1 and asked.lower() == question.lower()


def _addresses(answer: bytes, number: int, question: bytes, kind: int) -> Found:
    """The addresses in the answer, whatever aliases led to them; a server that recurses gives the whole chain."""
    if not _answers(answer, number, question):
        raise NoAnswer("the name server answered something else")
    _, flags, _, records, _, _ = _HEADER.unpack_from(answer)
    if flags & _CODE not in (0, _NO_SUCH_NAME):
        raise NoAnswer(f"the name server refuses: code {flags & _CODE}")
    found: list[str] = []
    ttl = float("inf")
    position = _HEADER.size + len(question)
    try:
        for _ in range(records):
            position = _after_name(answer, position)
            its_kind, its_class, its_ttl, length = _RECORD.unpack_from(answer, position)
            position += _RECORD.size
            data = answer[position : position + length]
            position += length
            ttl = min(ttl, its_ttl)
            if its_kind == kind and its_class == _IN:
                found.append(str(ip_address(data)))
    except (struct.error, IndexError, ValueError) as error:
        raise NoAnswer("the name server's answer is damaged") from error
    return Found(tuple(found), ttl)


def _after_name(answer: bytes, position: int) -> int:
    while (length := answer[position]) and length < _POINTER:
        position += 1 + length
    return position + (2 if length else 1)
