"""Directory trees in SQLite files."""
