"""The kernel's FUSE protocol, spoken directly."""
