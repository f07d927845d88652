"""Every test of this room runs on each loop and under the leak ledger."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _room(ledger, loop_of_async_test) -> None:
    """Makes both fixtures part of each test."""
