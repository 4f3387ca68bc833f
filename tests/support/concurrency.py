"""Doing things at the same moment."""

import threading
from collections.abc import Callable

from django.db import connection


def together(threads: int, work: Callable[[], object]) -> list[Exception]:
    """Do the same in many threads that begin at once, and return what has failed."""
    barrier = threading.Barrier(threads)
    failures: list[Exception] = []

    def run() -> None:
        barrier.wait()
        try:
            work()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failures
