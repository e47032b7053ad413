"""Mounting: the processes of a mount, the kernel's requests and their answers."""
