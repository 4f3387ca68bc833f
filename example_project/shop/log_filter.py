"""Keep requests of simulated visitors out of the console of the demo."""

import logging

#: Name of the threads that serve simulated visitors.
SIMULATED = "simulated visitors"


class NotSimulated(logging.Filter):
    """Drops records of simulated requests, except errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to keep the record."""
        return record.levelno >= logging.ERROR or record.threadName != SIMULATED
