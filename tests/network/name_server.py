"""A name server on loopback that says what it is told to, over UDP and TCP."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address

A, AAAA, CNAME = 1, 28, 5


class NameServer:
    """`addresses` by name; `alias` by name; `silent` for so many questions; `cut_off`: UDP answers are too long."""

    def __init__(self, addresses: Mapping[str, tuple[str, ...]], ttl: int = 300) -> None:
        self.addresses, self.ttl = dict(addresses), ttl
        self.aliases: dict[str, str] = {}
        self.silent = 0
        self.cut_off = False
        self.refuses = False
        self.asked: list[tuple[str, int]] = []
        self._udp, self._tcp = _same_port()
        self.port = self._udp.getsockname()[1]
        self._threads = [threading.Thread(target=self._over_udp), threading.Thread(target=self._over_tcp)]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        with suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _over_udp(self) -> None:
        while True:
            question, sender = self._udp.recvfrom(4096)
            if not question:
                return
            if self.silent:
                self.silent -= 1
                continue
            self._udp.sendto(b"\0" * 12, sender)  # what has nothing to do with the question is not to be believed
            self._udp.sendto(self._answer(question, whole=not self.cut_off), sender)

    def _over_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                question = stream.read(int.from_bytes(stream.read(2)))
                answer = self._answer(question, whole=True)
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, question: bytes, *, whole: bool) -> bytes:
        labels, position = [], 12
        while length := question[position]:
            labels.append(question[position + 1 : position + 1 + length].decode())
            position += 1 + length
        name, kind = ".".join(labels), int.from_bytes(question[position + 1 : position + 3])
        self.asked.append((name, kind))
        records = b""
        count = 0
        target = name
        if name in self.aliases:
            target = self.aliases[name]
            encoded = b"".join(bytes((len(label),)) + label.encode() for label in target.split(".")) + b"\0"
            records += b"\xc0\x0c" + struct.pack("!HHIH", CNAME, 1, self.ttl, len(encoded)) + encoded
            count += 1
        for address in self.addresses.get(target, ()):
            packed = ip_address(address).packed
            if (kind == AAAA) == (len(packed) == 16):
                records += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(packed)) + packed
                count += 1
        code = 5 if self.refuses else 0 if target in self.addresses else 3
        flags = 0x8180 | code | (0 if whole else 0x0200)
        head = question[:2] + struct.pack("!5H", flags, 1, count if whole else 0, 0, 0)
        return head + question[12 : position + 5] + (records if whole else b"")


def _same_port() -> tuple[socket.socket, socket.socket]:
    """A port that is free for both."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        try:
            return udp, socket.create_server(udp.getsockname())
        except OSError:
            udp.close()


@contextmanager
def name_server(addresses: Mapping[str, tuple[str, ...]], ttl: int = 300) -> Iterator[NameServer]:
    """One that runs until the `with` ends."""
    server = NameServer(addresses, ttl)
    try:
        yield server
    finally:
        server.close()
