"""Workers of Celery, which are killed."""

import os
import signal
from contextlib import contextmanager

#: What Celery's documents have every Django project do; a batch takes its time.
APP = """
import os, time
from celery import Celery

app = Celery("celery_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

from celery.signals import task_prerun

@task_prerun.connect
def slowly(**_):
    time.sleep(float(os.environ.get("SLOWLY", "0")))
"""


@contextmanager
def worker(site, name="one", slowly=0.0):
    """A worker, which is killed with all of its children if it is still there in the end."""
    with (site.folder / f"{name}.log").open("a") as log:
        site.environment["SLOWLY"] = str(slowly)
        process = site.start(
            *("-m", "celery", "--app=celery_site", "worker", "--concurrency=1"),
            *("--without-gossip", "--without-mingle", "--loglevel=INFO", f"--hostname={name}@%h"),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process, signal.SIGTERM)


def kill(process, number):
    """Send a signal to a worker and its children, and see to it that they end."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except Exception:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def log_of(site, name="one"):
    """Return the end of what a worker has logged."""
    return (site.folder / f"{name}.log").read_text()[-4_000:]
