"""The tables of all parameters: `client` for those who mount, `server` for those who publish. Nobody needs both."""
