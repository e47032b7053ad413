"""The client's disk."""
