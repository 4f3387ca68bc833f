"""Why a table cannot be partitioned, or not now."""


class UnsuitableTable(Exception):
    """The table or its database cannot be used this way; nothing was changed."""


class TableBusy(Exception):
    """Other transactions kept the table locked the whole time; nothing was changed."""
