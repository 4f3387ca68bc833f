"""The ban list in the admin: table, confirmation, import and export."""
