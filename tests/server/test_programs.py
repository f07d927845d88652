"""Servers that are started by a program of one's own, and not by the command."""

from __future__ import annotations

import re
import signal

import pytest

from tests.support.program import RUNNING_ON, SERVER, START_LIMIT, Program

pytestmark = pytest.mark.skipif(SERVER != "weft", reason="it is weft that these programs import")

STOPPED = re.compile(r"^stopped$", re.MULTILINE)
APP = """
import asyncio, os, sys, threading, weft

class App:
    def __init__(self, greeting):
        self.greeting = greeting

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": self.greeting})

app = App(b"hello")
"""


@pytest.fixture
def script(tmp_path):
    def start(text, *arguments):
        (tmp_path / "service.py").write_text(APP + text)
        return Program(["service.py", *arguments], directory=tmp_path, python=True)

    return start


def test_the_module_can_be_run(tmp_path):
    (tmp_path / "service.py").write_text(APP)
    arguments = ["-m", "weft", "--port", "0", "service:app"]
    with Program(arguments, directory=tmp_path, python=True) as program:
        with program.client() as client:
            assert client.get("/").text == "hello"
        assert program.terminate() == 0


def test_a_program_serves_an_application_by_its_name(script):
    with script(
        "if __name__ == '__main__':\n    sys.exit(weft.serve('service:app', port=0))\n"
    ) as it:
        with it.client() as client:
            assert client.get("/").text == "hello"
        assert it.terminate() == 0


def test_a_program_serves_an_object_of_its_own(script):
    text = """
if __name__ == "__main__":
    code = weft.serve(App(b"made here"), port=0, lifespan="off", access_log=False)
    print("served, and ends with", code)
    sys.exit(code)
"""
    with script(text) as program:
        with program.client() as client:
            assert client.get("/").text == "made here"
        program.signal(signal.SIGINT)
        assert program.wait() == 0
        assert "served, and ends with 0\n" in program.log
        assert "GET" not in program.log


def test_a_program_serves_with_workers(script):
    text = """
if __name__ == "__main__":
    sys.exit(weft.serve("service:app", port=0, workers=2))
"""
    with script(text) as program:
        with program.client() as client:
            assert client.get("/").text == "hello"
        assert program.terminate() == 0


def test_a_program_can_serve_twice(script, free_port):
    """Nothing of the first loop, its signal handlers among them, stays behind."""
    text = """
if __name__ == "__main__":
    for _ in range(2):
        weft.serve(app, port=int(sys.argv[1]))
        print("stopped", flush=True)
"""
    with script(text, str(free_port)) as program:
        since = 0
        for _ in range(2):
            program.wait_for(RUNNING_ON, START_LIMIT, since)
            with program.client() as client:
                assert client.get("/").text == "hello"
            since = program.mark()
            program.signal(signal.SIGTERM)
            program.wait_for(STOPPED, 10, since)
        assert program.wait() == 0
