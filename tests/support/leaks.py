"""Leak tests by weak reference: make something, drop it, and see the collector take it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
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


def _watch(factory: Callable[[], Any]) -> list[weakref.ref[Any]]:
    made = factory()
    objects: Iterable[Any] = made if isinstance(made, tuple) else (made,)
    return [weakref.ref(obj) for obj in objects]
