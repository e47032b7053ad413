"""How a client behaves on the network beyond routes and time-outs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Times in seconds. `back_off`: upper end of the first pause before a repetition, `back_off_limit` of any.

    After `..._reset` on a second choice the first is tried again. `ca_bundle`: a file of authorities for https, in
    place of the system's.
    """

    back_off: float = 2.0
    back_off_limit: float = 10.0
    server_reset: float = 1800.0
    proxy_reset: float = 300.0
    max_redirects: int = 0
    ca_bundle: str | None = None
    ipv4_only: bool = False
