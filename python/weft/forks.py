"""fork(2): a child gives its parent's loops back to their owner.

A child inherits the descriptors of every loop, and could change what the parent's loop is
watching by closing a transport. So in the child each loop gets kernel objects of its own. This
module must not know what a loop is made of.
"""

from __future__ import annotations

import functools
import os
import weakref
from typing import Protocol

__all__ = ["watch"]


class _Loop(Protocol):
    def _before_fork(self) -> str: ...
    def _leave_parent(self, listed: str) -> None: ...


# Every loop that may be alive: a process forks as a whole.
_loops: weakref.WeakSet[_Loop] = weakref.WeakSet()
# What each was watching when the fork began; empty at all other times.
_listed: dict[_Loop, str] = {}


def watch(loop: _Loop) -> None:
    """Call `loop._leave_parent()` in each child of this process, while the loop lives.

    Its argument is what `loop._before_fork()` has returned in the parent.
    """
    _register()
    _loops.add(loop)


@functools.cache
def _register() -> None:
    os.register_at_fork(
        before=_before_fork, after_in_parent=_listed.clear, after_in_child=_after_fork
    )


def _before_fork() -> None:
    for loop in list(_loops):
        _listed[loop] = loop._before_fork()


def _after_fork() -> None:
    for loop in list(_loops):
        # Another thread that forked at the same moment may have cleared the list.
        listed = _listed.get(loop)
        loop._leave_parent(loop._before_fork() if listed is None else listed)
    _listed.clear()
