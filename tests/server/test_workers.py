"""Several processes behind one address: all serve, all stop, and one that dies is replaced."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from tests.server.service import wait_until
from tests.server.wire import request


@pytest.fixture
def service(run):
    with run("processes:app", "--workers", "2") as service:
        yield service


def workers_of(service, count=2):
    """The pids that answer, once so many do."""
    seen = set()

    def all_answer():
        # One at a time, they might all be taken by the same idle worker.
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(service.connect()) for _ in range(32)]
            for wire in wires:
                wire.send(request("GET", "/pid"))
            seen.update(int(wire.response().body) for wire in wires)
        return len(seen) >= count

    wait_until(all_answer, f"{count} workers answer")
    return seen


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_workers_serve_and_stop_with_0(service, number):
    workers = workers_of(service)
    assert service.pid not in workers
    service.signal(number)
    assert service.wait() == 0
    assert not any(is_alive(pid) for pid in workers)


def test_requests_in_flight_in_both_are_finished(service, tmp_path):
    workers_of(service)
    wires = []
    for _ in range(16):
        wires.append(service.connect())
        wires[-1].send(request("GET", "/hold?go"))
    for _ in wires:
        service.said(r"\d+ holds")
    wait_until(lambda: service.log.count(" holds\n") == 16, "all are in flight")
    service.signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    for wire in wires:
        assert wire.response().status == 200
        wire.close()
    assert service.wait() == 0


def test_a_worker_that_is_held_does_not_hold_the_service(service, tmp_path):
    """What one process cannot do, the other does."""
    workers = workers_of(service)
    with service.connect() as wire:
        wire.send(request("GET", "/block?free"))
        held = int(service.said(r"(\d+) is blocked")[1])
        for _ in range(20):
            assert service.ask_json("/pid") in workers - {held}
        (tmp_path / "free").touch()
        assert int(wire.response().body) == held
    assert service.terminate() == 0


def test_a_killed_worker_is_replaced(service):
    first, second = workers_of(service)
    os.kill(first, signal.SIGKILL)
    service.said(rf".*\[{first}\].*SIGKILL.*")
    assert workers_of(service) > {second}
    assert service.terminate() == 0


def test_a_worker_that_exits_is_replaced(service):
    workers = workers_of(service)
    with service.connect() as wire:
        wire.send(request("GET", "/die"))
        wire.expect_end(reset_is_fine=True)
    wait_until(lambda: workers_of(service) - workers, "another worker answers")
    assert service.terminate() == 0


def test_one_service_announces_itself_once(service):
    workers_of(service)
    assert service.terminate() == 0
    assert service.log.count("running on") == 1


def test_the_access_lines_of_all_workers_are_whole(service):
    workers_of(service)
    for number in range(200):
        service.ask(f"/pid?{number}")
    # Stopped as well: the last lines must not be lost.
    assert service.terminate() == 0
    for number in range(200):
        service.said(rf'INFO: +127\.0\.0\.1:\d+ - "GET /pid\?{number} HTTP/1\.1" 200 OK')


def test_a_worker_that_overstays_the_limit_is_stopped(run, tmp_path):
    options = ["--workers", "2", "--timeout-graceful-shutdown", "0.3"]
    with run("processes:app", *options) as service, service.connect() as wire:
        wire.send(request("GET", "/hold?never"))
        service.said(r"\d+ holds")
        assert service.terminate() == 0
