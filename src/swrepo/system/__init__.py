"""The machine: atomic files, versioned SQLite databases, locks."""
