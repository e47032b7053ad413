"""What `cvmfs_config` does: the commands with which administrators of CernVM-FS look after a machine."""
