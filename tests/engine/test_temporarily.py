"""Attributes that are set for a while are restored, however the block is left."""

import threading
from types import SimpleNamespace

import pytest

from tinynet.engine.temporarily import temporarily


def test_attributes_are_restored_also_after_an_exception():
    thing = SimpleNamespace(a=1, b=2)

    @temporarily(thing, a=3, b=4)
    def fail() -> None:
        assert (thing.a, thing.b) == (3, 4)
        thing.a = 5
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (thing.a, thing.b) == (1, 2)


def test_an_attribute_that_does_not_exist_is_refused_and_nothing_is_changed():
    thing = SimpleNamespace(a=1)
    with pytest.raises(AttributeError, match="b"), temporarily(thing, a=2, b=3):
        pass
    assert vars(thing) == {"a": 1}


def test_a_decorated_function_may_call_itself():
    thing = SimpleNamespace(depth=0)

    @temporarily(thing, depth=1)
    def countdown(n: int) -> int:
        assert thing.depth == 1
        if n:
            thing.depth = 1
            countdown(n - 1)
        return thing.depth

    assert countdown(3) == 1
    assert thing.depth == 0


def test_a_thread_local_object_is_changed_for_one_thread_alone():
    class Local(threading.local):
        value = "own"

    local, seen = Local(), []
    with temporarily(local, value="changed"):
        thread = threading.Thread(target=lambda: seen.append(local.value))
        thread.start()
        thread.join()
    assert (seen, local.value) == (["own"], "own")
