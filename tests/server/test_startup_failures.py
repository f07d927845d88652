"""Services that cannot start: one clear line, exit code 3, and no socket left behind."""

from __future__ import annotations

import socket

import pytest

from tests.server.service import Service
from tests.support.net import listener


def the_error(service: Service) -> str:
    """The last line of a service that must have ended with 3."""
    assert service.wait() == 3, service.log
    assert "running on" not in service.log
    line = service.log.rstrip("\n").splitlines()[-1]
    assert line.startswith("ERROR:    "), service.log
    return line


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("kinds:functoin", "did you mean function?"),
        ("kinds:Nothing", 'has no attribute "Nothing"'),
        ("knids:function", "there is no module"),
        ("kinds", "is not written MODULE:ATTRIBUTE"),
        ("kinds:slots", "cannot be called"),
        ("broken:app", "importing"),
    ],
)
def test_a_wrong_name_is_one_line_and_3(run, app, words):
    with run(app) as service:
        assert words in the_error(service)
        if app != "broken:app":
            assert "Traceback" not in service.log


def test_an_error_while_importing_shows_where_it_is(run):
    with run("broken:app") as service:
        assert "ZeroDivisionError: division by zero" in the_error(service)
        assert "broken.py" in service.log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_one_line_and_3(run, workers):
    with listener() as holder:
        port = holder.getsockname()[1]
        with run("kinds:instance", "--port", str(port), "--workers", workers) as service:
            assert f"127.0.0.1:{port}: the port is in use" in the_error(service)


def test_an_address_of_another_machine_is_one_line_and_3(run):
    with run("kinds:instance", "--host", "192.0.2.1", "--port", "0") as service:
        assert "192.0.2.1" in the_error(service)


def test_a_socket_file_of_a_living_server_is_one_line_and_3(run, tmp_path):
    path = tmp_path / "taken.sock"
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(str(path))
        holder.listen()
        with run("kinds:instance", "--uds", str(path)) as service:
            assert "taken.sock" in the_error(service)
        assert path.exists(), "it is not ours to remove"


def test_a_service_that_fails_leaves_no_socket_file(run, tmp_path):
    path = tmp_path / "service.sock"
    with run("lifespans:fails", "--uds", str(path)) as service:
        the_error(service)
    assert not path.exists()


@pytest.mark.parametrize("app", ["lifespans:fails", "broken:app", "kinds:slots"])
def test_workers_that_cannot_start_end_the_service_with_3(run, app):
    """No endless restarts of what can only fail again."""
    with run(app, "--workers", "2") as service:
        assert service.wait() == 3
        assert "ERROR:    " in service.log
