"""What a machine that was started from one of our images does at boot, by itself."""
