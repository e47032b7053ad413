"""What the settings say about servers, proxies, names and certificates: typed, checked, with defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from swrepo.config.values import Values

_DIRECT = "DIRECT"
_USUAL_PAC = "http://wpad/wpad.dat"


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """One chain of servers and the proxies before it. `proxies` and `fallback` are what net.routes reads.

    `most`: how many servers are used, after they were ordered; None for all. `metalinks`: who tells more servers. Times
    in seconds.
    """

    urls: tuple[str, ...] = ()
    proxies: str = _DIRECT
    fallback: str = ""
    most: int | None = None
    timeout: float = 5.0
    timeout_direct: float = 10.0
    metalinks: tuple[str, ...] = ()

    @property
    def servers(self) -> tuple[str, ...]:
        """Where nothing else is configured, those that tell of servers, which may send us there themselves."""
        return self.urls or self.metalinks


@dataclass(frozen=True, slots=True)
class NameParameters:
    """How addresses are found; times in seconds. `server`: ADDRESS or ADDRESS:PORT, None for the system's way.

    `most`: addresses of one proxy that are used, None for all. `family`: 4 or 6, which of a proxy's addresses are used
    if it has both.
    """

    server: str | None = None
    timeout: float = 3.0
    retries: int = 1
    least_ttl: float = 60.0
    longest_ttl: float = 86400.0
    roaming: bool = False
    most: int | None = None
    family: int = 4
    ipv4_only: bool = False


@dataclass(frozen=True, slots=True)
class NetworkParameters:
    """How servers are asked; times in seconds, `inf` for never.

    `ca_bundle` and `ca_directory`: authorities for https in place of the system's. `token_servers`: those that get a
    bearer token. `headers` go with each request; `tracing`: those that name who asks go, too. `announcer`: the URL of
    the notification server.
    """

    servers: ServerParameters = field(default_factory=ServerParameters)
    external: ServerParameters = field(default_factory=ServerParameters)
    names: NameParameters = field(default_factory=NameParameters)
    low_speed_limit: int = 1024
    connections: int = 64
    max_retries: int = 1
    back_off_first: float = 2.0
    back_off_limit: float = 10.0
    server_reset: float = 1800.0
    proxy_reset: float = 300.0
    metalink_reset: float = 1800.0
    for_ever: bool = False
    shard: bool = False
    geo: bool = False
    proxy_template: str | None = None
    pac_urls: tuple[str, ...] = ()
    follow_redirects: bool = False
    ca_bundle: str | None = None
    ca_directory: str | None = None
    token_servers: tuple[str, ...] = ()
    tracing: bool = False
    headers: tuple[str, ...] = ()
    announcer: str | None = None

    @property
    def server_urls(self) -> tuple[str, ...]:
        return self.servers.servers


def network_parameters(values: Values) -> NetworkParameters:
    """Raises ConfigError, which names the parameter, its place and what fits."""
    system_ca = values.switch("CVMFS_USE_SSL_SYSTEM_CA", default=False)
    tracing = values.switch("CVMFS_HTTP_TRACING", default=False)
    return NetworkParameters(
        servers=_servers(values),
        external=_external(values),
        names=_names(values),
        low_speed_limit=values.number("CVMFS_LOW_SPEED_LIMIT", 1024),
        connections=values.number("CVMFS_MAX_CONNECTIONS", 64, 1, 1000),
        max_retries=values.number("CVMFS_MAX_RETRIES", 1),
        back_off_first=float(values.number("CVMFS_BACKOFF_INIT", 2)),
        back_off_limit=float(values.number("CVMFS_BACKOFF_MAX", 10)),
        server_reset=values.number("CVMFS_HOST_RESET_AFTER", 1800) or inf,
        proxy_reset=values.number("CVMFS_PROXY_RESET_AFTER", 300) or inf,
        metalink_reset=values.number("CVMFS_METALINK_RESET_AFTER", 1800) or inf,
        for_ever=values.switch("CVMFS_FAILOVER_INDEFINITELY", default=False),
        shard=values.switch("CVMFS_PROXY_SHARD", default=False),
        geo=values.switch("CVMFS_USE_GEOAPI", default=False),
        proxy_template=values.text("CVMFS_PROXY_TEMPLATE"),
        pac_urls=_pac_urls(values),
        follow_redirects=values.switch("CVMFS_FOLLOW_REDIRECTS", default=False),
        ca_bundle=None if system_ca else values.text("X509_CERT_BUNDLE"),
        ca_directory=None if system_ca else values.text("X509_CERT_DIR"),
        token_servers=_token_servers(values),
        tracing=tracing,
        headers=_tracing_headers(values) if tracing else (),
        announcer=_announcer(values),
    )


def _servers(values: Values) -> ServerParameters:
    proxies, fallback = _proxies(values, "CVMFS_HTTP_PROXY", "CVMFS_FALLBACK_PROXY")
    return ServerParameters(
        urls=values.urls("CVMFS_SERVER_URL"),
        proxies=proxies,
        fallback=fallback,
        most=values.number("CVMFS_MAX_SERVERS", 0) or None,
        timeout=float(values.number("CVMFS_TIMEOUT", 5, least=1)),
        timeout_direct=float(values.number("CVMFS_TIMEOUT_DIRECT", 10, least=1)),
        metalinks=values.urls("CVMFS_METALINK_URL"),
    )


def _external(values: Values) -> ServerParameters:
    proxies, fallback = _proxies(values, "CVMFS_EXTERNAL_HTTP_PROXY", "CVMFS_EXTERNAL_FALLBACK_PROXY")
    most = values.number("CVMFS_EXTERNAL_MAX_SERVERS", 0) or values.number("CVMFS_MAX_EXTERNAL_SERVERS", 0)
    return ServerParameters(
        urls=values.urls("CVMFS_EXTERNAL_URL"),
        proxies=proxies,
        fallback=fallback,
        most=most or None,
        timeout=float(values.number("CVMFS_EXTERNAL_TIMEOUT", 5, least=1)),
        timeout_direct=float(values.number("CVMFS_EXTERNAL_TIMEOUT_DIRECT", 10, least=1)),
        metalinks=values.urls("CVMFS_EXTERNAL_METALINK"),
    )


def _proxies(values: Values, name: str, fallback_name: str) -> tuple[str, str]:
    """The proxies and the fallback ones; with these, nothing is fetched directly."""
    text, fallback = values.text(name) or _DIRECT, values.text(fallback_name)
    return (text, "") if fallback is None else (_without_direct(text), _without_direct(fallback))


def _without_direct(text: str) -> str:
    groups = (
        "|".join(name for name in group.split("|") if name.strip().upper() != _DIRECT) for group in text.split(";")
    )
    return ";".join(group for group in groups if group.strip())


def _names(values: Values) -> NameParameters:
    least = values.number("CVMFS_DNS_MIN_TTL", 60)
    family = values.text("CVMFS_IPFAMILY_PREFER") or "4"
    if family not in ("4", "6"):
        raise values.refuse("CVMFS_IPFAMILY_PREFER", "4 or 6")
    return NameParameters(
        server=values.text("CVMFS_DNS_SERVER"),
        timeout=float(values.number("CVMFS_DNS_TIMEOUT", 3, least=1)),
        retries=values.number("CVMFS_DNS_RETRIES", 1),
        least_ttl=float(least),
        longest_ttl=float(max(least, values.number("CVMFS_DNS_MAX_TTL", 86400))),
        roaming=values.switch("CVMFS_DNS_ROAMING", default=False),
        most=values.number("CVMFS_MAX_IPADDR_PER_PROXY", 0) or None,
        family=int(family),
        ipv4_only=values.switch("CVMFS_IPV4_ONLY", default=False),
    )


def _pac_urls(values: Values) -> tuple[str, ...]:
    urls = tuple(_USUAL_PAC if url.lower() == "auto" else url for url in values.items("CVMFS_PAC_URLS", ";"))
    if not all(url.startswith(("http://", "https://", "file://")) for url in urls):
        raise values.refuse(
            "CVMFS_PAC_URLS", "a list of http://, https:// or file:// URLs with ';' between them, or auto"
        )
    return urls or (_USUAL_PAC,)


def _announcer(values: Values) -> str | None:
    urls = values.urls("CVMFS_NOTIFICATION_SERVER")
    if len(urls) > 1:
        raise values.refuse("CVMFS_NOTIFICATION_SERVER", "one http:// or https:// URL")
    return urls[0].rstrip("/") if urls else None


def _token_servers(values: Values) -> tuple[str, ...]:
    urls = values.urls("CVMFS_BEARER_TOKEN_SERVERS")
    if not all(url.startswith("https://") for url in urls):
        raise values.refuse("CVMFS_BEARER_TOKEN_SERVERS", "a list of https:// URLs with ';' between them")
    return urls


def _tracing_headers(values: Values) -> tuple[str, ...]:
    """`key:value|key:value` as header lines. Source: the original's parameters; keys are letters and digits."""
    lines = []
    for pair in values.items("CVMFS_HTTP_TRACING_HEADERS", "|"):
        key, colon, value = (part.strip() for part in pair.partition(":"))
        if not colon or not (key.isascii() and key.isalnum()) or not value.isprintable():
            raise values.refuse(
                "CVMFS_HTTP_TRACING_HEADERS", "a list such as key:value|key:value with alphanumeric keys"
            )
        lines.append(f"X-CVMFS-{key}: {value}")
    return tuple(lines)
