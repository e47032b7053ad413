"""Who may sign: keys, whitelist, certificate, manifest."""
