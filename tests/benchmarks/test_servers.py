"""The benchmarks of servers."""

import importlib
import os
import pkgutil
import re
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest

import benchmarks
from benchmarks.servers import answers, comparing, load, requests, tables
from benchmarks.servers.rounds import Duration, Measured, measure
from benchmarks.servers.serving import SERVERS
from benchmarks.servers.sites import Absent, Site
from benchmarks.servers.variants import NAMED, VARIANTS, Variant
from tracking import views


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
)
def test_every_benchmark_can_be_imported(name):
    if name == "tokens":
        pytest.importorskip("nacl")
    if name != "__main__":
        importlib.import_module(f"benchmarks.{name}")


def task(port, **values):
    defaults = {
        "port": port,
        "process": os.getpid(),
        "requests": "",
        "body": b"seen".hex(),
        "connections": 2,
        "warm_up": 0.0,
        "seconds": 0.2,
        "core": None,
    }
    return load.Task(**{**defaults, **values})


@pytest.fixture
def answering():
    """A server that answers each request with bytes, and hangs up after them if asked to."""
    with ExitStack() as stack:

        def start(answer: bytes, *, hangs_up: bool = False) -> int:
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            in_background(accept, listener, answer, hangs_up)
            # A listener that is closed does not wake who waits for it.
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return listener.getsockname()[1]

        yield start


def in_background(work, *arguments):
    threading.Thread(target=work, args=arguments, daemon=True).start()


def accept(listener, answer, hangs_up):
    with suppress(OSError):
        while True:
            in_background(serve, listener.accept()[0], answer, hangs_up)


def serve(connection, answer, hangs_up):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with closing(connection):
        while connection.recv(65536):
            for half in (answer[:20], answer[20:]):
                connection.sendall(half)
            if hangs_up:
                return


REQUESTS = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]


@pytest.mark.parametrize(
    ("answer", "keeps_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nseen", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nseen\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nseen", False),
    ],
)
def test_answers_are_counted_however_they_are_framed(answering, answer, keeps_alive):
    port = answering(answer, hangs_up=not keeps_alive)
    report = load.Load(task(port), REQUESTS).run()
    assert report.keeps_alive is keeps_alive
    assert 0 < report.answers < report.all_answers  # some were on their way at the end
    assert report.all_answers - report.answers <= 2
    assert 0 < report.busy < 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\nseen",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_another_answer_ends_the_run(answering, answer):
    with pytest.raises(load.WrongAnswer):
        load.Load(task(answering(answer, hangs_up=True)), REQUESTS).run()


def test_the_time_of_a_processor_is_that_of_the_process_and_its_children():
    before, mine = load.cpu_of(os.getpid()), time.process_time()
    while time.process_time() < mine + 0.1:
        pass
    assert load.cpu_of(os.getpid()) - before >= 0.08
    assert os.getpid() in load.tree_of(os.getppid())


def test_what_is_answered_is_the_same():
    assert answers.GIF == views.GIF
    assert len(answers.PTRACK) == len(answers.GIF)


def test_each_variant_has_a_name_and_each_group_something_to_be_compared_with():
    assert len(NAMED) == len(VARIANTS)
    for group in tables.groups():
        first = next(variant for variant in VARIANTS if variant.group == group)
        assert not first.rows
        assert not first.targets


@pytest.fixture
def folder(tmp_path):
    requests.write(tmp_path)
    return tmp_path


def test_a_missing_module_is_reported(folder):
    with pytest.raises(Absent, match=r"there is no tracking\.nowhere yet"):
        Site(Variant(name="nowhere", title="", module="tracking.nowhere"), folder)


@pytest.mark.slow
def test_sites_are_asked_and_every_answer_is_a_row(folder):
    names = ["bare", "raw", "immediate-sqlite", "buffered-sqlite", "page-buffered", "account"]
    sites = [Site(NAMED[name], folder) for name in names]
    queries = {site.variant.name: site.queries for site in sites}
    assert queries == {
        **dict.fromkeys(("bare", "buffered-sqlite", "page-buffered"), 0),
        "raw": None,
        "immediate-sqlite": 1,
        "account": 2,
    }
    measured, absent = measure(sites, SERVERS["gunicorn"], Duration(1, 0.2))
    assert absent == {}
    assert list(measured) == names
    for site in sites:
        mine = measured[site.variant.name]
        assert mine.answers > 10
        assert mine.rows == (mine.answers if site.variant.rows else None)
    assert measured["buffered-sqlite"].writer[0] >= 0
    lines = tables.rows("pixel", "gunicorn", measured, queries)
    assert [line.title for line in lines] == [NAMED[name].title for name in names[:4]]
    assert lines[0].ratio == "1.00 (1.00-1.00)"


@pytest.mark.slow
def test_a_missing_row_is_reported(folder, monkeypatch):
    monkeypatch.setattr("benchmarks.servers.rounds.PATIENCE", 0.1)
    # Says of itself that it records, and does not.
    variant = Variant(
        name="forgetful",
        title="",
        settings=NAMED["bare"].settings,
        rows=NAMED["create-sqlite"].rows,
    )
    measured, absent = measure([Site(variant, folder)], SERVERS["gunicorn"], Duration(1, 0.1))
    assert measured == {}
    assert re.fullmatch(r"[\d,]+ answers, 0 rows", absent["forgetful"])


def test_tables_show_whether_a_target_is_met_and_how_sure_that_is():
    measured = {
        "bare": Measured(rates=[100.0, 200.0], cpu=[50.0, 60.0], writer=[0.0, 0.0]),
        "raw": Measured(rates=[200.0, 400.0], cpu=[10.0, 10.0], writer=[0.0, 0.0]),
        "buffered-sqlite": Measured(rates=[90.0, 150.0], cpu=[100.0, 120.0], writer=[9.0, 11.0]),
        "edge-sqlite": Measured(rates=[120.0, 260.0], cpu=[30.0, 30.0], writer=[9.0, 11.0]),
    }
    bare, _, buffered, edge, to_raw = tables.rows("pixel", "gunicorn", measured, {"bare": 0})
    assert (bare.ratio, bare.queries, bare.target) == ("1.00 (1.00-1.00)", "0", "")
    assert buffered.ratio == "0.82 (0.75-0.90)"
    assert (buffered.of_cpu, buffered.writer) == ("0.50 (0.50-0.50)", "10")
    assert (buffered.target, edge.target) == ("0.80 met, unsteady", "1.30 missed, unsteady")
    assert (to_raw.ratio, to_raw.target) == ("0.62 (0.60-0.65)", "0.60 met")


def test_tables_are_written_between_their_marks(tmp_path):
    page = tmp_path / "page.rst"
    page.write_text("Before\n\n.. measured: begin\n\nold\n\n.. measured: end\n\nAfter\n")
    for _ in range(2):
        comparing._write(page, "new \\1")
        assert page.read_text() == (
            "Before\n\n.. measured: begin\n\nnew \\1\n\n.. measured: end\n\nAfter\n"
        )
