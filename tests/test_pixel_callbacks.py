import logging

import pytest
from django.test import RequestFactory

from tracking import TrackingPixel, tracker
from tracking.pixel_callbacks import Tracker, rename_keys


class Notebook(TrackingPixel):
    seen: list = []

    def record(self, request, *args, **kwargs):
        self.seen.append((request.path, args, kwargs))


@pytest.fixture(autouse=True)
def blank():
    Notebook.seen.clear()


@pytest.fixture
def notify():
    registry = Tracker()
    return registry, lambda args=(), kwargs=None: registry.notify(
        RequestFactory().get("/p"), args, kwargs or {}
    )


def test_record_is_called_with_the_request_and_all_arguments(notify):
    registry, call = notify
    registry.register(Notebook)
    call([1, "two"], {"key": "value"})
    assert Notebook.seen == [("/p", (1, "two"), {"key": "value"})]


def test_registering_twice_changes_nothing(notify):
    registry, call = notify
    assert registry.register(registry.register(Notebook)) is Notebook
    call()
    assert len(Notebook.seen) == 1


def test_several_callbacks_run_and_one_that_fails_is_logged_by_name(notify, caplog):
    class Before(Notebook):
        pass

    class Failing(TrackingPixel):
        def record(self, request, *args, **kwargs):
            raise RuntimeError("not today")

    class After(Notebook):
        pass

    registry, call = notify
    for pixel_class in (Before, Failing, After):
        registry.register(pixel_class)
    with caplog.at_level(logging.ERROR, "tracking"):
        call()
    assert len(Notebook.seen) == 2
    [record] = caplog.records
    assert "Failing failed" in record.getMessage()
    assert "not today" in caplog.text


@pytest.mark.parametrize("name", ["request", "self"])
def test_a_keyword_that_record_already_has_gets_an_underscore(notify, name):
    registry, call = notify
    registry.register(Notebook)
    call([], {name: "mine", name + "_": "taken", "other": 1})
    [(_, _, kwargs)] = Notebook.seen
    assert kwargs == {name + "_": "taken", name + "__": "mine", "other": 1}


def test_renaming_leaves_the_rest_alone():
    original = {"a": 1, "request": 2}
    assert rename_keys(original, ["request"]) == {"a": 1, "request_": 2}
    assert original == {"a": 1, "request": 2}


def test_only_classes_with_a_plain_record_are_taken():
    class Async(TrackingPixel):
        async def record(self, request, *args, **kwargs):
            """Never awaited."""

    for wrong in (Notebook(), object, "Notebook", None):
        with pytest.raises(TypeError, match="subclass of TrackingPixel"):
            tracker.register(wrong)
    with pytest.raises(TypeError, match="coroutine"):
        tracker.register(Async)


def test_unregistered_callbacks_are_silent(notify):
    registry, call = notify
    registry.register(Notebook)
    registry.unregister(Notebook)
    call()
    assert Notebook.seen == []


def test_a_callback_without_record_is_logged(notify, caplog):
    class Empty(TrackingPixel):
        pass

    registry, call = notify
    registry.register(Empty)
    call()
    assert "Empty must define record()" in caplog.text


def test_a_callback_may_register_another(notify):
    class Late(Notebook):
        pass

    class Lazy(TrackingPixel):
        def record(self, request, *args, **kwargs):
            registry.register(Late)

    registry, call = notify
    registry.register(Lazy)
    call()
    assert Notebook.seen == []
    call()
    assert len(Notebook.seen) == 1


def test_what_a_callback_does_to_its_arguments_is_felt_by_nobody(notify):
    class Greedy(TrackingPixel):
        def record(self, request, *args, **kwargs):
            args[0].clear()
            kwargs["tags"].clear()

    registry, call = notify
    for pixel_class in (Greedy, Notebook):
        registry.register(pixel_class)
    args, kwargs = [["a"]], {"tags": ["b"]}
    call(args, kwargs)
    assert Notebook.seen == [("/p", (["a"],), {"tags": ["b"]})]
    assert (args, kwargs) == ([["a"]], {"tags": ["b"]})
