"""SQL that Django does not write, and values made fit for any database."""
