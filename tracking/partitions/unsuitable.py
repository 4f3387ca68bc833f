"""What says that a table cannot be treated so."""


class Unsuitable(Exception):
    """The table, or its database, is not as it would have to be; nothing was changed."""
