"""One flow for threads and for event loops."""

import asyncio
import threading

import pytest

from tracking.sync_and_async import IN_LOOP, IN_THREAD, run


class Backend:
    def send_in_savepoints(self, hit):
        self.sent = (hit, "in a thread")

    async def asend(self, hit):
        self.sent = (hit, "in a loop")


async def flow(wait, backend):
    thread = await wait.call(threading.get_ident)
    await wait.send(backend, "hit")
    return thread


def test_in_a_thread_all_of_it_happens_there_at_once():
    backend = Backend()
    assert run(flow(IN_THREAD, backend)) == threading.get_ident()
    assert backend.sent == ("hit", "in a thread")


def test_in_a_loop_what_may_wait_happens_elsewhere():
    backend = Backend()
    assert asyncio.run(flow(IN_LOOP, backend)) != threading.get_ident()
    assert backend.sent == ("hit", "in a loop")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_what_a_flow_raises_reaches_the_caller(error):
    async def fail(wait):
        await wait.call(lambda: (_ for _ in ()).throw(error("no")))

    with pytest.raises(error):
        run(fail(IN_THREAD))


def test_a_flow_that_waits_for_a_loop_cannot_run_in_a_thread():
    async def wait_for_the_loop():
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="IN_THREAD"):
        run(wait_for_the_loop())
