"""Parameters: what they are called, which files set them, in which order those are read."""
