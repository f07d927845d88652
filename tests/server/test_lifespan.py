"""Startup before the first request, shutdown after the last, and state in between."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from tests.server.wire import request
from tests.support.net import free_port
from tests.support.program import CODE_AFTER_SIGTERM

MODES = ["auto", "on", "off"]


def stop(service):
    code = service.terminate()
    assert code == CODE_AFTER_SIGTERM, service.log


# in order


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_startup_and_shutdown_run_once_each(run, number):
    with run("lifespans:good") as service:
        assert service.ask_json("/")["started"] == ["yes"]
        assert "shutdown\n" not in service.log
        service.signal(number)
        assert service.wait() == 0
        assert service.log.count("\nshutdown\n") == 1
        assert service.log.count("startup {") == 1


def test_the_scope_is_that_of_the_specification(run):
    with run("lifespans:good") as service:
        shown = json.loads(service.said(r"startup (\{.*\})")[1])
        assert shown["type"] == "lifespan"
        assert shown["asgi"]["version"] == "3.0"
        assert shown["asgi"]["spec_version"] == "2.0"


@pytest.mark.parametrize("app", ["slow", "blocking"])
def test_no_request_is_served_before_the_startup_is_complete(run, tmp_path, app):
    """A client may connect: it is served when there is somebody to serve it."""
    with run(f"lifespans:{app}", "--port", str(port := free_port())) as service:
        service.said("startup has begun")
        assert "running on" not in service.log
        service.address = ("127.0.0.1", port)
        answer = []

        def ask():
            answer.append(service.ask_json("/"))

        with service.connect() as wire:
            wire.send(request("GET", "/"))
            assert not wire.is_readable(0.2)
            (tmp_path / "go").touch()
            assert json.loads(wire.response().body)["started"] == ["yes"]
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(10)
        assert answer[0]["started"] == ["yes"]
        stop(service)


def test_the_address_is_announced_after_the_startup(run):
    with run("lifespans:good") as service:
        assert service.address
        assert service.log.index("startup {") < service.log.index("running on")


def test_startup_and_shutdown_share_a_task(run):
    with run("lifespans:one_task") as service:
        assert service.ask("/").status == 200
        stop(service)
        assert "the group has ended" in service.log


def test_the_context_of_the_startup_stays_there(run):
    """As with uvicorn: a request begins with the context of the server."""
    with run("lifespans:contextual") as service:
        assert service.ask_json("/")["context"] == "outside"
        stop(service)


def test_every_request_has_a_shallow_copy_of_the_state(run):
    with run("lifespans:with_state") as service, service.connect() as wire:
        for visit in range(3):
            wire.send(request("GET", "/"))
            assert json.loads(wire.response().body) == {
                "number": 1,
                "shared": ["visited"] * visit,
                "keys": ["number", "shared"],
            }
        stop(service)


# applications without one


@pytest.mark.parametrize("app", ["refuses", "returns"])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_an_application_without_a_lifespan_is_served(run, app, mode):
    with run(f"lifespans:{app}", "--lifespan", mode) as service:
        assert service.ask("/").status == 200
        stop(service)
        assert "Traceback" not in service.log


@pytest.mark.parametrize("app", ["refuses", "returns"])
def test_it_is_an_error_where_a_lifespan_is_demanded(run, app):
    with run(f"lifespans:{app}", "--lifespan", "on") as service:
        assert service.wait() == 3
        assert "running on" not in service.log
        assert last_line(service).startswith("ERROR: ")


def test_a_lifespan_that_is_turned_off_is_not_run(run):
    with run("lifespans:good", "--lifespan", "off") as service:
        assert service.ask_json("/")["started"] == []
        stop(service)
        assert "shutdown\n" not in service.log.replace("application shutdown", "")


# that fail


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize(
    ("app", "reason"),
    [
        ("fails", "the database is down"),
        ("fails_silently", "startup failed"),
        ("fails_long", "ValueError: the last line says why"),
    ],
)
def test_a_startup_that_fails_ends_with_its_reason_and_3(run, app, reason, mode):
    with run(f"lifespans:{app}", "--lifespan", mode) as service:
        assert service.wait() == 3
        assert "running on" not in service.log
        assert last_line(service).startswith("ERROR: ")
        assert reason in last_line(service)
        assert service.log.count("Traceback (most recent call last)") == (app == "fails_long")


def test_a_startup_that_raises_ends_with_its_reason_and_3(run):
    with run("lifespans:raises", "--lifespan", "on") as service:
        assert service.wait() == 3
        assert last_line(service).startswith("ERROR: ")
        assert "raised by the startup" in last_line(service)
        assert "lifespans.py" in service.log, "the traceback is worth having"


def test_a_startup_that_raises_is_taken_for_none_by_auto(run):
    """The specification: the server must continue, and send no lifespan events."""
    with run("lifespans:raises") as service:
        assert service.ask("/").status == 200
        stop(service)
        assert "appears unsupported (it raised " in service.log
        assert "raised by the startup" in service.log, "whoever meant it seriously finds it here"


def test_a_startup_that_exits_ends_the_process(run):
    with run("lifespans:exits") as service:
        assert service.wait() != 0
        assert "running on" not in service.log
        assert "never retrieved" not in service.log


def test_a_shutdown_that_fails_is_an_error_in_the_log(run):
    with run("lifespans:shutdown_failing") as service:
        assert service.ask("/").status == 200
        assert service.terminate() in (0, 1)
        assert "could not save" in service.log


def test_a_shutdown_that_raises_is_an_error_in_the_log(run):
    with run("lifespans:shutdown_raising") as service:
        assert service.ask("/").status == 200
        assert service.terminate() in (0, 1)
        assert "ValueError: raised by the shutdown" in service.log


def test_a_lifespan_that_dies_does_not_take_requests_along(run):
    with run("lifespans:dies") as service:
        assert service.ask("/").status == 200
        stop(service)
        assert "ValueError: died while serving" in service.log


def last_line(service):
    return service.log.rstrip("\n").splitlines()[-1]
