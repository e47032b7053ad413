"""Mounting a repository."""
