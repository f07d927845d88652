"""The access log: uvicorn's look to the letter, whole lines whatever comes, and nothing lost."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.server.service import accepts, wait_until
from tests.server.wire import Wire, request
from tests.support.program import ROOT, SERVER

LINE = re.compile(r'INFO: {5}127\.0\.0\.1:\d+ - "[A-Z-]+ /\S* HTTP/1\.[01]" \d{3} [\x20-\x7e]*')


@pytest.fixture(scope="module")
def server(serve):
    return serve("logged:app", errors_are_wanted=True)


@pytest.fixture(scope="module")
def any_path(serve):
    return serve("logged:any_path")


def line_of(server, wire, target, **options):
    """The line that this request leaves in the log, without what comes before the method."""
    since = server.mark()
    wire.send(request(options.pop("method", "GET"), target, **options))
    wire.response()
    return server.said(rf'INFO: {{5}}{re.escape(wire.name)} - "(.*)', since)[1]


# the look


def test_a_line_is_exactly_that_of_uvicorn(server):
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/status?200"))
        wire.response()
        client = re.escape(wire.name)
        server.said(rf'INFO:     {client} - "GET /status\?200 HTTP/1\.1" 200 OK', since)


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (200, "200 OK"),
        (201, "201 Created"),
        (404, "404 Not Found"),
        (503, "503 Service Unavailable"),
    ],
)
def test_a_status_is_shown_with_its_phrase(server, status, shown):
    with server.connect() as wire:
        line = line_of(server, wire, f"/status?{status}")
        assert line == f'GET /status?{status} HTTP/1.1" {shown}'


def test_a_status_without_a_phrase_is_shown_alone(server):
    with server.connect() as wire:
        assert line_of(server, wire, "/status?299").rstrip() == 'GET /status?299 HTTP/1.1" 299'


def test_method_and_version_are_shown(server):
    with server.connect() as wire:
        line = line_of(server, wire, "/", method="DELETE", version="1.0")
        assert line == 'DELETE / HTTP/1.0" 200 OK'


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/a%20b?c=%20", "/a%20b?c=%20"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/a?", "/a"),
        ("/a?b?c", "/a?b?c"),
        ("/a:b@c", "/a%3Ab%40c"),
    ],
)
def test_the_path_is_shown_quoted_and_the_query_as_it_came(any_path, target, shown):
    with any_path.connect() as wire:
        assert line_of(any_path, wire, target) == f'GET {shown} HTTP/1.1" 200 OK'


def test_the_log_can_be_turned_off(run):
    with run("logged:app", "--no-access-log") as service:
        for _ in range(5):
            service.ask("/")
        assert service.terminate() == 0
        assert "GET" not in service.log


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_a_higher_level_turns_the_log_off(run, level, tmp_path):
    path = str(tmp_path / "service.sock")
    with run("logged:app", "--log-level", level, "--uds", path) as service:
        service.address = path
        wait_until(lambda: accepts(path), "the server listens")
        assert service.ask("/").status == 200
        assert service.terminate() == 0
        assert service.log == ""


def test_colours_are_shown_when_they_are_wanted(run, tmp_path):
    path = str(tmp_path / "service.sock")
    with run("logged:app", "--use-colors", "--uds", path) as service:
        service.address = path
        wait_until(lambda: accepts(path), "the server listens")
        service.ask("/")
        assert service.terminate() == 0
        assert '"\x1b[1mGET / HTTP/1.1\x1b[0m" \x1b[32m200 OK\x1b[0m' in service.log


def test_requests_go_to_stdout_and_messages_to_stderr(run, tmp_path):
    with open(tmp_path / "errors", "w") as errors, run("logged:app", errors=errors) as service:
        said = tmp_path / "errors"
        running = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
        wait_until(lambda: running.search(said.read_text()), "the server runs")
        service.address = ("127.0.0.1", int(running.search(said.read_text())[1]))
        service.ask("/")
        assert service.terminate() == 0
        assert LINE.fullmatch(service.log.rstrip("\n"))
        assert "GET" not in said.read_text()


# what an attacker may try

EVIL = [
    "/a%0D%0AINFO:%20forged",
    "/a%0AINFO:%20forged",
    "/a%1B%5B31mred",
    "/a%22%20200%20OK",
    "/a%00b",
    "/a%7F",
    "/a%C2%85b%E2%80%A8c",
    "/%ff%fe%fd",
    "/%C3%28",
    "/%ED%A0%80",
    "/%F0%9F%8D%B5",
    "/%",
    "/%%%s%d%n{0}",
    '/a"b',
    "/a'b\\c`d",
    "/?a=%0D%0Aforged",
    '/?a="%20200%20OK',
    "/?%1B[31m",
    "/?%s%d%(x)s{0}",
    "/" + "a" * 10_000,
    "/?" + "b" * 10_000,
]


@pytest.mark.parametrize("target", EVIL, ids=lambda target: target[:20])
def test_no_target_can_forge_a_line(any_path, target):
    since = any_path.mark()
    with any_path.connect() as wire:
        wire.send(request("GET", target))
        assert wire.response().status == 200
        line = any_path.said(rf"INFO: +{re.escape(wire.name)} - .*", since)[0]
    assert LINE.fullmatch(line), line
    assert line.count('"') == 2
    lines = [line for line in any_path.log.splitlines() if "GET" in line or "forged" in line]
    assert all(LINE.fullmatch(line) for line in lines)


@pytest.mark.parametrize("bytes_sent", [b"\x1b[31m\r\n\r\n", b"GET /\xff\x1b HTTP/1.1\r\n\r\n"])
def test_a_refused_request_writes_no_bytes_of_its_own(any_path, bytes_sent):
    with any_path.connect() as wire:
        wire.send(bytes_sent)
        assert wire.response().status == 400
    any_path.ask("/")
    assert "\x1b" not in any_path.log
    assert "\\x" not in any_path.log


# order, and nothing lost


def test_lines_come_in_the_order_of_the_responses(any_path):
    since = any_path.mark()
    with any_path.connect() as wire:
        wire.send(b"".join(request("GET", f"/order-{number}") for number in range(500)))
        for _ in range(500):
            wire.response()
    any_path.said(r".*/order-499 .*", since)
    found = re.findall(r"/order-(\d+) ", any_path.log)
    assert found == [str(number) for number in range(500)]


def test_a_line_does_not_wait_for_another_request(server):
    since = server.mark()
    server.ask("/status?204")
    server.said(r'.*"GET /status\?204 HTTP/1\.1" 204 No Content', since)


def test_a_stream_is_logged_when_it_begins(server):
    """As uvicorn does: an event stream may last for days."""
    since = server.mark()
    with server.connect() as wire:
        wire.send(request("GET", "/stream?logged"))
        assert wire.head().status == 200
        server.said(r'.*"GET /stream\?logged HTTP/1\.1" 200 OK', since)
        server.open("logged")
        assert wire.chunk() == b"first"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_lost_at_the_end(run, number):
    with run("logged:any_path") as service, service.connect() as wire:
        wire.send(b"".join(request("GET", f"/end-{n}") for n in range(300)))
        for _ in range(300):
            wire.response()
        service.signal(number)
        assert service.wait() == 0
        found = re.findall(r"/end-(\d+) ", service.log)
        assert found == [str(n) for n in range(300)]


def test_an_error_is_logged_whole_and_with_its_request(server):
    since = server.mark()
    server.ask("/raise")
    server.said(r"ERROR: {4}Exception in ASGI application", since)
    server.said(r"ValueError: raised on purpose", since)
    server.said(r'INFO: .*"GET /raise HTTP/1\.1" 500 Internal Server Error', since)


def test_what_the_application_prints_stays_whole(server):
    since = server.mark()
    for _ in range(50):
        server.ask("/print")
    wait_until(lambda: server.log.count('"GET /print HTTP/1.1"') == 50, "all are logged")
    lines = "".join(server.log).splitlines()[since:]
    assert lines.count("printed by the application") == 50


def test_a_log_that_nobody_reads_does_not_hold_the_service(tmp_path):
    """A pipe whose reader sleeps: requests are answered, lines wait or are dropped."""
    reading, writing = os.pipe()
    path = str(tmp_path / "service.sock")
    options = ["--uds", path, "--app-dir", str(ROOT), "tests.server.apps.logged:any_path"]
    program = os.path.join(os.path.dirname(sys.executable), SERVER)
    process = subprocess.Popen([program, *options], stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        wait_until(lambda: accepts(path), "the server listens")
        with Wire(path) as wire:
            for _ in range(40):
                wire.send(request("GET", "/" + "x" * 200) * 50)
                for _ in range(50):
                    assert wire.response().status == 200
        process.terminate()
        while select.select([reading], [], [], 10)[0] and os.read(reading, 65536):
            pass
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)


# what the application has configured


def configured(run, app, *targets) -> str:
    """What a service has said in the end that was asked for these."""
    with run(f"logged:{app}") as service:
        for target in targets or ("/?x",):
            service.ask(target)
        assert service.terminate() == 0
        return service.log


RECORD = (
    r"record uvicorn\.access INFO \('127\.0\.0\.1:\d+', 'GET', '/\?x', '1\.1', 200\) "
    r'127\.0\.0\.1:\d+ - "GET /\?x HTTP/1\.1" 200'
)


def test_a_further_handler_gets_the_record_of_uvicorn(run):
    log = configured(run, "with_handler")
    assert re.search(rf"^{RECORD}$", log, re.MULTILINE)
    assert re.search(r'^INFO: .*"GET /\?x HTTP/1\.1" 200 OK$', log, re.MULTILINE)


def test_handlers_of_the_application_take_the_place_of_ours(run):
    log = configured(run, "with_own_handlers")
    assert re.search(rf"^{RECORD}$", log, re.MULTILINE)
    assert not re.search(r"^INFO: .*GET", log, re.MULTILINE)


def test_a_filter_of_the_application_is_obeyed(run):
    """The usual one: no lines for health checks."""
    log = configured(run, "with_filter", "/health", "/?x")
    assert "/health" not in log
    assert "GET /?x " in log


@pytest.mark.parametrize("app", ["with_silence", "with_disabled"])
def test_an_application_can_silence_the_log(run, app):
    assert "GET" not in configured(run, app)


def test_records_propagate_when_the_application_wants_it(run):
    log = configured(run, "with_propagation")
    assert re.search(rf"^{RECORD}$", log, re.MULTILINE)


def test_a_format_of_the_application_is_used(run):
    log = configured(run, "with_dict_config")
    assert re.search(r"^own 127\.0\.0\.1:\d+ \| GET /\?x HTTP/1\.1 \| 200 OK$", log, re.MULTILINE)


def test_a_record_factory_of_the_application_is_used(run):
    assert "made a record of uvicorn.access" in configured(run, "with_record_factory")


def test_a_level_that_changes_while_serving_is_obeyed_within_two_seconds(run):
    with run("logged:late") as service:
        service.ask("/quiet")
        quiet = asked_for(service, 2.0, "/while-quiet")
        service.ask("/loud")
        loud = asked_for(service, 2.0, "/while-loud")
        assert service.terminate() == 0
        assert f"GET /while-quiet-{quiet} " not in service.log
        assert f"GET /while-loud-{loud} " in service.log


def asked_for(service, seconds: float, path: str) -> int:
    """Ask again and again; the number of the last request."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        service.ask(f"{path}-{number}")
        time.sleep(0.05)
    return number


def test_a_handler_that_fails_does_not_fail_the_request(run):
    with run("logged:with_broken_handler") as service, service.connect() as wire:
        for _ in range(3):
            wire.send(request("GET", "/"))
            assert wire.response().body == b"hello"
        assert service.terminate() == 0
