"""Bootable disk images of servers, clients and workers, built without mounting anything."""
