"""Every test of this room runs on each loop and under the leak ledger."""

from __future__ import annotations

import socket

import pytest

from tests.support.datagrams import bound, fill


@pytest.fixture(autouse=True)
def _room(ledger, loop_of_async_test) -> None:
    """Makes both fixtures part of each test."""


@pytest.fixture
def peer(tmp_path):
    """A Unix datagram socket whose queue is full, and how many datagrams are in it."""
    with bound(socket.AF_UNIX, str(tmp_path / "peer")) as sock:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            count = fill(filler, sock.getsockname())
        yield sock, count
