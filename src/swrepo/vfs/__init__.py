"""The mounted tree in plain Python: numbers, listings, revisions one after another. No kernel, no network."""
