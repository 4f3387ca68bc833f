"""Forked children of the test process."""

import os
import time
import warnings


def forked(check):
    """Return the id of a child of this process that ends with 0 if ``check`` holds in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return pid


def exit_code(pid):
    """Return the exit code of a child, or ``"hung"`` if it does not end within ten seconds."""
    for _ in range(500):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hung"
