"""A repository as a client sees it, without a mount: found, configured, opened, read, kept."""
