"""The event loops under test and how each is made; imports none of them before it is asked."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable

from ..support.machine import OVERLAYS, version_of

Factory = Callable[[], asyncio.AbstractEventLoop]

# aiofastnet is no loop: it replaces the transports of one, here uvloop's. It is asked for by name.
LOOPS = ("weft", "asyncio", "uvloop", "rloop", "uvloop022", "aiofastnet")
DEFAULT_LOOPS = LOOPS[:4]
# Loops whose package lies beside the environment.
OVERLAY_OF = {"uvloop022": "uvloop-0.22"}


def missing(name: str) -> str | None:
    """What is not installed, or None when the loop can run."""
    if name in OVERLAY_OF:
        present = OVERLAYS[OVERLAY_OF[name]].is_dir()
    else:
        present = name == "asyncio" or version_of(name) is not None
    return None if present else f"{name} not installed"


def factory(name: str) -> Factory:
    """The loop's own `new_event_loop`; asyncio's is the selector loop of this Python.

    A process for a loop with an overlay is started with that overlay in front of its path.
    """
    if name == "asyncio":
        return asyncio.SelectorEventLoop
    if name == "aiofastnet":
        patched: Factory = importlib.import_module("aiofastnet").loop_factory(factory("uvloop"))
        return patched
    module = importlib.import_module("uvloop" if name in OVERLAY_OF else name)
    made: Factory = module.new_event_loop
    return made
