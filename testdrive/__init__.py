"""`make testdrive-vm`: the walk of a newcomer, in real virtual machines that were made from our images."""
