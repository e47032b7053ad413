"""One reusable libcurl handle: options of a GET, and libcurl's errors as ours (the only place that knows them)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from urllib.parse import urlsplit

import pycurl

from swrepo.net.faults import Fault, TransferFailed
from swrepo.net.transfer import Request, Transfer

_BUFFER_SIZE = 256 << 10
_IDLE_AGE = 60
"""Seconds after which an idle connection is not used again: firewalls forget those that are older."""

_FRESH_AGE = 1
"""The same when connections may have died silently: libcurl closes the older ones before it makes a new one."""

_FAULTS = {
    pycurl.E_COULDNT_RESOLVE_PROXY: Fault.PROXY_NAME,
    pycurl.E_COULDNT_RESOLVE_HOST: Fault.SERVER_NAME,
    pycurl.E_URL_MALFORMAT: Fault.UNUSABLE,
    pycurl.E_UNSUPPORTED_PROTOCOL: Fault.UNUSABLE,
    pycurl.E_PEER_FAILED_VERIFICATION: Fault.UNUSABLE,
    pycurl.E_SSL_CACERT_BADFILE: Fault.UNUSABLE,
}


@dataclass(frozen=True, slots=True)
class EasyOptions:
    """What is the same for every request of a client."""

    user_agent: str
    ca_bundle: str | None
    max_redirects: int
    ipv4_only: bool = False
    ca_directory: str | None = None


class Easy:
    """A handle that stays with its network thread; `transfer` is what it serves at the moment."""

    __slots__ = ("_eager", "_lines", "_pinned", "_prepared", "curl", "transfer")

    def __init__(self, options: EasyOptions, eager: list[Easy]) -> None:
        """`eager` is where the handle notes itself when a worker should start on a response that still arrives."""
        self.transfer: Transfer | None = None
        self._eager = eager
        self._lines: list[bytes] = []
        self._prepared: tuple[object, ...] = ()
        self._pinned = False
        self.curl = curl = pycurl.Curl()
        curl.easy = self
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.FOLLOWLOCATION, int(options.max_redirects > 0))
        curl.setopt(pycurl.MAXREDIRS, options.max_redirects)
        curl.setopt(pycurl.USERAGENT, options.user_agent)
        curl.setopt(pycurl.BUFFERSIZE, _BUFFER_SIZE)
        curl.setopt(pycurl.NOPROXY, "")  # else libcurl reads the environment
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        if options.ipv4_only:
            curl.setopt(pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4)
        if options.ca_bundle is not None:
            curl.setopt(pycurl.CAINFO, options.ca_bundle)
        if options.ca_directory is not None:
            curl.setopt(pycurl.CAPATH, options.ca_directory)
        curl.setopt(pycurl.WRITEFUNCTION, self._body)

    def prepare(self, transfer: Transfer) -> None:
        """Set up the next GET; what stays as it was is not set again."""
        request = transfer.request
        self.curl.setopt(pycurl.URL, request.url)
        is_tls = request.url.startswith("https:")
        wanted = (
            request.proxy,
            request.headers,
            request.timeout,
            request.low_speed,
            request.keep_head,
            is_tls,
            request.fresh,
            request.address,
        )
        if wanted != self._prepared:
            self.curl.setopt(pycurl.MAXAGE_CONN, _FRESH_AGE if request.fresh else _IDLE_AGE)
            self.curl.setopt(pycurl.PROXY, request.proxy or "")  # "" and not unset: the environment has no say
            self.curl.unsetopt(pycurl.HTTPHEADER)  # an empty list would leave those of an earlier request
            if request.headers:
                self.curl.setopt(pycurl.HTTPHEADER, list(request.headers))
            self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(request.timeout * 1000)))
            self.curl.setopt(pycurl.LOW_SPEED_LIMIT, request.low_speed)
            self.curl.setopt(pycurl.LOW_SPEED_TIME, max(1, ceil(request.timeout)))
            self._connect_to(request)
            # HTTP/2 needs one connection; without TLS there is no HTTP/2, and waiting to see would hold up the second.
            self.curl.setopt(pycurl.PIPEWAIT, int(is_tls))
            # Ten callbacks into the interpreter, so only where somebody wants to see the head.
            self.curl.setopt(pycurl.HEADERFUNCTION, self._lines.append if request.keep_head else None)
            self._prepared = wanted
        if request.known:
            host, port = host_and_port(request.url)
            addresses = ",".join(f"[{item}]" if ":" in item else item for item in request.known)
            self.curl.setopt(pycurl.RESOLVE, [f"+{host}:{port}:{addresses}"])
        self.transfer = transfer

    def _connect_to(self, request: Request) -> None:
        if request.address is None:
            if self._pinned:
                self.curl.unsetopt(pycurl.CONNECT_TO)
                self._pinned = False
            return
        address = f"[{request.address}]" if ":" in request.address else request.address
        self.curl.setopt(pycurl.CONNECT_TO, [f"::{address}:"])  # whatever the host, to this one, at its port
        self._pinned = True

    def deliver_head(self) -> None:
        """Give the transfer its status and head; not to be called within one of libcurl's callbacks."""
        transfer = self.transfer
        if transfer is not None and not transfer.status:
            transfer.status = self.curl.getinfo(pycurl.RESPONSE_CODE)
            transfer.lines = self._lines[:]

    def release(self) -> None:
        """The transfer is over: be free for the next."""
        self.transfer = None
        self._lines.clear()

    def _body(self, block: bytes) -> int | None:
        transfer = self.transfer
        if transfer is None or transfer.cancelled:
            return -1
        if not transfer.body(block):
            return int(pycurl.WRITEFUNC_PAUSE)
        if transfer.is_eager:
            self._eager.append(self)
        return None


def fault_of(easy: Easy, code: int, text: str) -> TransferFailed:
    """What libcurl's error means for fail-over, with a message for people."""
    request = easy.transfer.request if easy.transfer is not None else None
    url, proxy = (request.url, request.proxy) if request is not None else ("?", None)
    through = f" through proxy {proxy}" if proxy else ""
    address = None if proxy else easy.curl.getinfo(pycurl.PRIMARY_IP) or None
    fault = _FAULTS.get(code, Fault.BROKEN)
    sentence = f"{url}{through}: {text or f'libcurl error {code}'}"
    return TransferFailed(sentence, fault, address, timed_out=code == pycurl.E_OPERATION_TIMEDOUT)


def host_and_port(url: str) -> tuple[str, int]:
    """Of a server's URL; a literal of version 6 without its brackets."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
