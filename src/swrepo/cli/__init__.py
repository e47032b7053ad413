"""Commands: parse, dispatch, exit code. The only reader of argv and environment."""
