"""Content-addressed objects: where they lie, how they are stored, how they are checked."""
