"""Leak tests by weak reference: make something, drop it, and see the collector take it."""

from __future__ import annotations

import contextlib
import gc
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.support.ledger import holders


def assert_collected(factory: Callable[[], Any]) -> None:
    """Call the factory, drop what it returned, and require that all of it is gone.

    The factory returns one object or a tuple of objects; each must accept weak references.
    """
    references = _watch(factory)
    gc.collect()
    alive = [ref() for ref in references]
    left = [f"{obj!r} held by {holders(obj, alive)}" for obj in alive if obj is not None]
    assert not left, "not collected: " + "; ".join(left)


def assert_freed(factory: Callable[[], Any]) -> None:
    """As `assert_collected`, with the collector off: reference counting alone must do it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        references = _watch(factory)
        left = [ref() for ref in references if ref() is not None]
        assert not left, f"needs the collector: {left!r}"
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def resource_warning(text: str) -> Iterator[None]:
    """Require a ResourceWarning with this text by the time of the next collection.

    Other ResourceWarnings may come with it: a loop that is dropped drops its sockets too.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    unexpected = [w for w in caught if not issubclass(w.category, ResourceWarning)]
    texts = [str(w.message) for w in caught]
    caught.clear()
    assert not unexpected
    assert any(text in t for t in texts), f"{text!r} is not in {texts}"


def _watch(factory: Callable[[], Any]) -> list[weakref.ref[Any]]:
    made = factory()
    objects: Iterable[Any] = made if isinstance(made, tuple) else (made,)
    return [weakref.ref(obj) for obj in objects]
