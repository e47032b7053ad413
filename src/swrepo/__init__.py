"""swrepo: publish software once, run it anywhere; compatible with CernVM-FS.

`swrepo.open(url, key=...)` reads a repository without a mount (docs/python.md). What is public is loaded when it is
first used, so that commands start fast.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "open": ("swrepo.api.opening", "open_repository"),
    "Repository": ("swrepo.api.repository", "Repository"),
    "DirEntry": ("swrepo.api.entries", "DirEntry"),
    "Stat": ("swrepo.api.values", "Stat"),
    "Tag": ("swrepo.api.values", "Tag"),
    "Fetched": ("swrepo.api.values", "Fetched"),
    "SwrepoError": ("swrepo.errors", "SwrepoError"),
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - they come by __getattr__


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'swrepo' has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    found = globals()[name] = getattr(importlib.import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
