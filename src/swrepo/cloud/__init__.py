"""Our images and machines on OpenStack clouds. Needs `pip install 'swrepo[cloud]'`."""
