"""One module per command; each calls a function of another package."""
