"""Report pages of the admin: the overview, and the report of a mailing."""
