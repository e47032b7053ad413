"""Parameters and the files they come from."""
