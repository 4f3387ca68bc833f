"""Run code in several threads at once."""

import threading
from collections.abc import Callable

from django.db import connection


def together(threads: int, work: Callable[[], object]) -> list[Exception]:
    """Call ``work`` in threads that begin at the same moment, and return their exceptions."""
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
