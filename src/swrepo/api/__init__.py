"""Repositories for Python programs, without a mount; `swrepo` itself offers the public names (docs/python.md)."""
