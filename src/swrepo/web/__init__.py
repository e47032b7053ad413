"""Serving repositories over HTTP."""
