"""Keeps the console for the reader of the demo, whose shop has visitors all the time."""

import logging

#: What the threads are called that serve visitors who are played.
PLAYED = "played visitors"


class NotPlayed(logging.Filter):
    """Leaves out what visitors who are played make the shop say, except errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR or record.threadName != PLAYED
