"""Copies of repositories that other servers publish: stratum 1 replicas."""
