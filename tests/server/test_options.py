"""Options that change how a service is reached or found: socket files, folders, environment."""

from __future__ import annotations

import socket
import stat

import pytest

from tests.server.wire import request
from tests.support.net import has_ipv6
from tests.support.program import Program


@pytest.fixture
def on_socket_file(run, tmp_path):
    path = tmp_path / "service.sock"
    with run("processes:app", "--uds", str(path)) as service:
        service.said(rf"INFO: +.*unix socket {path}.*")
        service.address = str(path)
        yield service, path


def test_a_service_is_served_over_its_socket_file(on_socket_file):
    service, path = on_socket_file
    with service.connect() as wire:
        for _ in range(3):
            wire.send(request("GET", "/ends"))
            assert wire.response().body == f'[null, ["{path}", null]]'.encode()
        large = request("POST", "/pid", body=b"x" * 500_000)
        wire.send(large)
        assert wire.response().status == 200


def test_everybody_may_connect_to_the_socket_file(on_socket_file):
    _, path = on_socket_file
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_the_socket_file_is_removed_at_the_end(on_socket_file):
    service, path = on_socket_file
    assert service.terminate() == 0
    assert not path.exists()


def test_the_socket_file_of_a_dead_server_is_replaced(run, tmp_path):
    path = tmp_path / "service.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with run("processes:app", "--uds", str(path)) as service:
        service.said(r"INFO: +.*unix socket .*")
        service.address = str(path)
        assert service.ask("/").body == b"hello"


def test_requests_over_a_socket_file_are_logged(on_socket_file):
    service, _ = on_socket_file
    service.ask("/pid")
    service.said(r'INFO: +\S* - "GET /pid HTTP/1\.1" 200 OK')


def test_workers_share_a_socket_file(run, tmp_path):
    path = tmp_path / "service.sock"
    with run("processes:app", "--uds", str(path), "--workers", "2") as service:
        service.said(r"INFO: +.*unix socket .*")
        service.address = str(path)
        with service.connect() as wire:
            wire.send(request("GET", "/block?free"))
            held = int(service.said(r"(\d+) is blocked")[1])
            assert service.ask_json("/pid") != held
            (tmp_path / "free").touch()
            assert int(wire.response().body) == held
        assert service.terminate() == 0
    assert not path.exists()


def test_an_environment_file_reaches_the_application_and_the_options(run, tmp_path):
    (tmp_path / "some.env").write_text("COLOUR=red\nSIZE=large\nWEFT_ROOT_PATH=/below\n")
    options = ["--env-file", "some.env"]
    with run("scopes:app", *options, environment={"SIZE": "small"}) as service:
        shown = service.ask_json("/")
        assert shown[1]["root_path"] == ["str", "/below"]
    with run("processes:app", *options, environment={"SIZE": "small"}) as service:
        assert service.ask("/settings").status == 404, "the root path comes before the path"


def test_a_variable_of_the_environment_is_stronger_than_the_file(run, tmp_path):
    (tmp_path / "some.env").write_text("COLOUR=red\nSIZE=large\n")
    options = ["--env-file", "some.env"]
    with run("processes:app", *options, environment={"SIZE": "small"}) as service:
        shown = service.ask_json("/settings")
        assert (shown["COLOUR"], shown["SIZE"]) == ("red", "small")


def test_options_come_from_the_environment(run):
    with run("scopes:app", environment={"WEFT_ROOT_PATH": "/var"}) as service:
        assert service.ask_json("/")[1]["root_path"] == ["str", "/var"]


def test_the_folder_of_the_application_comes_first_on_the_path(run, tmp_path):
    with run("processes:app") as service:
        shown = service.ask_json("/settings")
        assert shown["cwd"] == str(tmp_path)
        assert shown["path"] != str(tmp_path)


def test_the_current_folder_is_the_default(tmp_path):
    (tmp_path / "here.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 204})\n"
        "    await send({'type': 'http.response.body'})\n"
    )
    arguments = ["here:app", "--port", "0", "--lifespan", "off"]
    with Program(arguments, directory=tmp_path) as program, program.client() as client:
        assert client.get("/").status_code == 204


@pytest.mark.parametrize("flags", [["--factory"], []])
def test_a_factory_is_called(run, flags):
    with run("processes:make_app", *flags) as service:
        assert service.ask("/").body == b"hello"
        assert ("is a factory" in service.log) is not bool(flags)


def test_a_service_listens_on_ipv6(run):
    if not has_ipv6():
        pytest.skip("there is no IPv6 here")
    with run("scopes:app", "--host", "::1", "--port", "0") as service:
        url = service.said(r"INFO: +.*http://\[::1\]:(\d+).*")
        with socket.create_connection(("::1", int(url[1])), 5) as sock:
            sock.sendall(request("GET", "/", "Connection: close"))
            answer = sock.makefile("rb").read()
        assert b'"client": ["tuple", [["str", "::1"], ["int", ' in answer
