"""Stops under load, again and again: every answer that begins is whole, every exit is 0."""

from __future__ import annotations

import itertools
import random
import signal

import pytest

from tests.server.service import FAULT, Service
from tests.server.wire import Wire, request
from tests.stress.load import in_threads

pytestmark = [pytest.mark.stress, pytest.mark.limit(600)]

STOPS = 50
PATHS = ["/length", "/turns", "/stream"]


def hammer(service: Service, served: itertools.count):
    """Clients that keep asking until nobody is there any more."""

    def work(stop):
        rng = random.Random()
        while not stop.is_set():
            try:
                with Wire(service.address) as wire:
                    while not stop.is_set():
                        wire.send(request("GET", rng.choice(PATHS)) * rng.choice([1, 1, 5]))
                        ask_for_whole(wire)
                        next(served)
            except OSError:
                pass  # refused, or the end came between two requests

    return work


def ask_for_whole(wire: Wire) -> None:
    """A response that has begun must be whole; none at all is no fault at the end."""
    try:
        wire.sock.settimeout(10)
        if not wire._buffer and not wire.sock.recv(1, 2):
            raise ConnectionResetError
        assert wire.response().status == 200
    except EOFError as error:
        raise AssertionError(f"a response was cut off: {error}") from None


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_a_server_under_load_stops_in_order_50_times(tmp_path, options):
    for round_number in range(STOPS if not options else STOPS // 2):
        served = itertools.count()
        with Service("connections:app", *options, directory=tmp_path) as service:
            assert service.address
            with in_threads(4, hammer(service, served)):
                while next(served) < 50 + 10 * round_number:
                    service.ask("/length")
                service.signal(random.choice([signal.SIGTERM, signal.SIGINT]))
                code = service.wait()
            assert code == 0, f"round {round_number}:\n{service.log[-2000:]}"
            assert not FAULT.search(service.log), service.log
            assert "Traceback" not in service.log, service.log
