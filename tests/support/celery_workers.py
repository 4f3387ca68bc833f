"""Celery workers."""

import os
import signal
from contextlib import contextmanager

#: The module that Celery's documentation prescribes; ``SLOWLY`` delays each task by some seconds.
#: Without remote control: RabbitMQ may still hold its queue for the connection that was lost, and a
#: worker that finds back ends with ``RESOURCE_LOCKED``.
APP = """
import os, time
from celery import Celery

app = Celery("celery_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.worker_enable_remote_control = False
app.autodiscover_tasks()

from celery.signals import task_prerun

@task_prerun.connect
def slowly(**_):
    time.sleep(float(os.environ.get("SLOWLY", "0")))
"""


@contextmanager
def worker(site, name="one", slowly=0.0):
    """Run a worker; in the end it is killed with its children, if it still runs."""
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
    """Send a signal to a worker and its children; kill them if they do not end."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except Exception:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def log_of(site, name="one"):
    """Return the last 4,000 characters of the log of a worker."""
    return (site.folder / f"{name}.log").read_text()[-4_000:]
