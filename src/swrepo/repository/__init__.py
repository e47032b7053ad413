"""One signed revision of a repository, and its history."""
