"""The end of a service: what is in flight finishes, nothing new begins, the lifespan closes."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.server.service import wait_until
from tests.server.wire import Wire, request

SIGNALS = [signal.SIGTERM, signal.SIGINT]
STOPPING = r"INFO: +Shutting down"


@pytest.fixture
def start(run, tmp_path):
    """A server, and the folder in which it looks for files."""
    with run("stopping:app") as service:
        service.ask("/")
        yield service
        assert "panicked" not in service.log


def begin(service, target, name=None):
    """A connection with a request in flight."""
    wire = service.connect()
    wire.send(request("GET", target))
    service.said(f"{name or target.partition('?')[2]} has begun")
    return wire


def stop(service, number=signal.SIGTERM):
    since = service.mark()
    service.signal(number)
    service.said(STOPPING, since)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_idle_server_stops_at_once_with_0(start, number):
    start.signal(number)
    assert start.wait() == 0
    assert start.log.count("lifespan shutdown") == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_request_in_flight_is_finished(start, number, tmp_path):
    with begin(start, "/gate?one") as wire:
        stop(start, number)
        (tmp_path / "one").touch()
        response = wire.response()
        assert (response.body, response.closes) == (b"finished", True)
        wire.expect_end()
        assert start.wait() == 0
    assert start.log.index("one has finished") < start.log.index("lifespan shutdown")


def test_a_client_that_keeps_its_end_open_does_not_delay_the_stop(start, tmp_path):
    """Pooled clients see that the server has closed only when they need the connection."""
    with begin(start, "/gate?open") as wire:
        stop(start)
        (tmp_path / "open").touch()
        assert wire.response().closes
        since = time.monotonic()
        assert start.wait() == 0
        assert time.monotonic() - since < 1.5


def test_many_requests_in_flight_are_finished(start, tmp_path):
    wires = [begin(start, f"/gate?number-{number}") for number in range(20)]
    stop(start)
    for number in range(20):
        (tmp_path / f"number-{number}").touch()
    for wire in wires:
        assert wire.response().body == b"finished"
        wire.close()
    assert start.wait() == 0


def test_idle_connections_are_closed_at_once(start, tmp_path):
    """They must not hold the stop up, nor be cut while they are used."""
    with start.connect() as fresh, start.connect() as used, begin(start, "/gate?held") as busy:
        used.send(request("GET", "/"))
        used.response()
        stop(start)
        used.expect_end()
        fresh.expect_end()
        (tmp_path / "held").touch()
        assert busy.response().body == b"finished"
        assert start.wait() == 0


def test_new_connections_are_refused(start, tmp_path):
    with begin(start, "/gate?held") as busy:
        stop(start)
        wait_until(lambda: is_refused(start.address), "connections are refused")
        (tmp_path / "held").touch()
        assert busy.response().body == b"finished"
        assert start.wait() == 0


def is_refused(address):
    try:
        Wire(address).close()
    except OSError:
        return True
    return False


def test_a_request_behind_the_one_in_flight_is_not_begun(start, tmp_path):
    """The response in flight says `Connection: close`, so the client sends it elsewhere."""
    with begin(start, "/gate?first") as wire:
        wire.send(request("GET", "/gate?second"))
        stop(start)
        (tmp_path / "first").touch()
        assert wire.response().closes
        wire.expect_end(reset_is_fine=True)
        assert start.wait() == 0
    assert "second has begun" not in start.log


def test_an_upload_in_flight_is_finished(start):
    with start.connect() as wire:
        wire.send(request("POST", "/upload", "Content-Length: 8") + b"half")
        start.said("upload has begun")
        stop(start)
        wire.send(b"full")
        assert wire.response().body == b"8"
        assert start.wait() == 0


def test_a_request_whose_head_is_on_its_way_is_answered_or_refused(start):
    """Never left hanging."""
    with start.connect() as wire:
        wire.send(request("GET", "/")[:-2])
        # Its bytes are with the server once a later connection has been answered.
        start.ask("/")
        stop(start)
        wire.send_pieces([b"\r\n"])
        assert [response.status for response in wire.responses()] in ([], [200], [503], [408])
        assert start.wait() == 0


def test_work_behind_a_response_is_finished(start, tmp_path):
    """Starlette's background tasks: what was accepted must not be lost."""
    assert start.ask("/background").body == b"accepted"
    start.said("background has begun")
    stop(start)
    (tmp_path / "background").touch()
    assert start.wait() == 0
    assert start.log.index("background has finished") < start.log.index("lifespan shutdown")


def test_tasks_of_the_application_are_cancelled_behind_the_lifespan(start):
    """What nobody else ends, the end of the loop does, with its clean-up."""
    assert start.ask("/spawn").body == b"spawned"
    assert start.terminate() == 0
    assert start.log.index("lifespan shutdown") < start.log.index("spawned task was cancelled")


def test_a_task_of_the_application_may_take_its_time_to_tidy_up(start, tmp_path):
    """As under `asyncio.run`: nobody has set a limit."""
    start.ask("/spawn-slow")
    start.signal(signal.SIGTERM)
    start.said("tidying up")
    time.sleep(1)  # longer than a server would wait that has a patience of its own
    (tmp_path / "tidy").touch()
    assert start.wait() == 0
    assert "tidied up" in start.log


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_tidying_up(start, number):
    start.ask("/spawn-slow")
    start.signal(number)
    start.said("tidying up")
    start.signal(number)
    assert start.wait() == 1


# that does not finish


def test_a_second_signal_forces_the_end_with_1(start):
    with begin(start, "/never?endless"):
        stop(start)
        start.signal(signal.SIGTERM)
        assert start.wait() == 1
    assert "endless cleaned up" in start.log


def test_a_second_signal_does_not_wait_for_the_limit(run):
    server = run("stopping:app", "--timeout-graceful-shutdown", "60")
    with server as service, begin(service, "/never?endless"):
        stop(service)
        service.signal(signal.SIGINT)
        assert service.wait() == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_even_a_task_that_refuses_to(start, number):
    with begin(start, "/stubborn", "stubborn"):
        stop(start, number)
        start.signal(number)
        assert start.wait() == 1


def test_a_second_signal_ends_a_shutdown_that_hangs(run):
    with run("lifespans:hanging") as service:
        service.ask("/")
        service.signal(signal.SIGTERM)
        service.said("shutdown hangs")
        service.signal(signal.SIGTERM)
        assert service.wait() == 1


def test_a_signal_during_the_startup_ends_the_server(run):
    with run("lifespans:hanging_startup") as service:
        service.said("shutdown hangs")  # the same coroutine, run as a startup
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert "running on" not in service.log


def test_what_overstays_the_limit_is_cancelled_and_the_lifespan_still_closes(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "0.3") as service:
        with begin(service, "/never?late") as wire:
            stop(service)
            with pytest.raises((EOFError, ConnectionResetError)):
                wire.response()
            assert service.wait() == 0
        log = service.log
        assert log.index("late was cancelled") < log.index("late cleaned up")
        assert log.index("late cleaned up") < log.index("lifespan shutdown")


def test_the_limit_does_not_hold_up_a_server_that_is_done(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "60") as service:
        service.ask("/")
        assert service.terminate() == 0


def test_background_work_that_overstays_the_limit_is_cancelled(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "0.3") as service:
        assert service.ask("/background").body == b"accepted"
        service.said("background has begun")
        assert service.terminate() == 0
        assert "background has finished" not in service.log
        assert "lifespan shutdown" in service.log


def test_a_stream_ends_with_the_limit_and_cleans_up(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "0.3") as service:
        with service.connect() as wire:
            wire.send(request("GET", "/stream"))
            assert wire.head().status == 200
            service.signal(signal.SIGTERM)
            with pytest.raises((EOFError, ConnectionResetError)):
                while wire.chunk():
                    pass
        assert service.wait() == 0
        assert service.log.index("stream cleaned up") < service.log.index("lifespan shutdown")


def test_a_stream_that_listens_is_told_before_it_is_cancelled(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "0.3") as service:
        with service.connect() as wire:
            wire.send(request("GET", "/listener"))
            assert wire.head().status == 200
            assert service.terminate() == 0
        assert "listener got http.disconnect" in service.log


def test_a_task_that_refuses_to_be_cancelled_does_not_hold_the_process(run):
    with run("stopping:app", "--timeout-graceful-shutdown", "0.3") as service:
        with begin(service, "/stubborn", "stubborn"):
            assert service.terminate() in (0, 1)
        assert "stubborn was cancelled" in service.log
        assert "lifespan shutdown" in service.log


def test_a_loop_that_is_held_stops_when_it_is_free(start, tmp_path):
    with start.connect() as wire:
        wire.send(request("GET", "/blocked"))
        start.said("blocked has begun")
        start.signal(signal.SIGTERM)
        (tmp_path / "unblock").touch()
        assert wire.response().body == b"finished"
        assert start.wait() == 0


def test_a_client_that_does_not_read_does_not_hold_a_server_with_a_limit(run):
    server = run("streams:app", "--timeout-graceful-shutdown", "0.3")
    with server as service, service.connect(receive_buffer=65536) as wire:
        wire.send(request("GET", "/flood?held"))
        service.said(r"held waits after \d+ pieces")
        assert service.terminate() == 0


def test_connections_that_wait_to_be_accepted_are_served_or_refused(start):
    """Those in the queue of the socket when the signal comes: never left hanging."""
    wires = []
    for _ in range(200):
        wire = start.connect()
        wire.send(request("GET", "/"))
        wires.append(wire)
    start.signal(signal.SIGTERM)
    for wire in wires:
        try:
            assert [response.body for response in wire.responses()] in ([], [b"hello"])
        finally:
            wire.close()
    assert start.wait() == 0


def test_the_address_is_free_again_at_once(start, run):
    port = start.address[1]
    assert start.terminate() == 0
    with run("stopping:app", "--port", str(port)) as again:
        assert again.ask("/").body == b"hello"


def test_the_server_has_let_go_of_its_socket_while_it_waits(start, tmp_path):
    """Another process can take the port over while the old one finishes."""
    with begin(start, "/gate?held") as wire:
        stop(start)

        def is_free():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(start.address)
                except OSError:
                    return False
                return True

        wait_until(is_free, "the port is free")
        (tmp_path / "held").touch()
        assert wire.response().body == b"finished"
        assert start.wait() == 0
