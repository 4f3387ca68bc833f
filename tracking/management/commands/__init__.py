"""One module a command; each is a thin call into the rooms below."""
