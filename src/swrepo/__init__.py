"""swrepo: publish software once, run it anywhere; compatible with CernVM-FS."""

__version__ = "0.1.0"
