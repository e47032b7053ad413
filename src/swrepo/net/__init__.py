"""HTTP, proxies and servers."""
