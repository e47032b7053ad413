"""One module per command: EXAMPLE, configure(parser), run(args)."""
