"""Run code in several threads at once."""

import threading
from collections.abc import Callable

from tracking.db.threads import close_connections


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
            close_connections()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failures


def in_threads(*functions: Callable[[], object]) -> list[object]:
    """Run the functions at the same time, each with a connection of its own; return the results."""
    results: list[object] = []
    errors: list[Exception] = []
    gate = threading.Barrier(len(functions))

    def run(function: Callable[[], object]) -> None:
        try:
            gate.wait(10)
            results.append(function())
        except Exception as error:
            errors.append(error)
        finally:
            close_connections()

    threads = [threading.Thread(target=run, args=[function]) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    return results
