"""A server with one of the applications in `apps`, and what tests ask of its process."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from tests.server.wire import Address, Response, Wire, request
from tests.support.program import (
    CODE_AFTER_SIGTERM,
    ROOT,
    RUNNING_ON,
    SERVER,
    START_LIMIT,
    Program,
)

APPS = "tests.server.apps"
LIMIT = 10.0
MIB = 1 << 20
# Signs of a fault in the server itself, which no application and no client can be to blame for.
FAULT = re.compile(r"panicked|PanicException|unraisable|SystemError|Segmentation|RuntimeWarning")
TRACEBACK = "Traceback (most recent call last)"


class Service(Program):
    """One run of the server; `app` is MODULE:ATTRIBUTE below `apps`."""

    def __init__(
        self,
        app: str,
        *options: str,
        directory: pathlib.Path,
        environment: Mapping[str, str] | None = None,
        errors: IO[str] | None = None,
    ) -> None:
        place = ["--app-dir", str(ROOT)]
        if "--uds" not in options and "--port" not in options:
            place += ["--port", "0"]
        arguments = [*place, *options, f"{APPS}.{app}"]
        super().__init__(arguments, directory=directory, environment=environment, errors=errors)

    @functools.cached_property
    def address(self) -> Address:
        """Where it listens, once it does."""
        url = self.wait_for(RUNNING_ON, START_LIMIT)[1]
        host, _, port = url.removeprefix("http://").rpartition(":")
        return host, int(port)

    @property
    def url(self) -> str:
        host, port = self.address
        return f"http://{host}:{port}"

    def connect(self, **options: Any) -> Wire:
        return Wire(self.address, **options)

    def ask(self, target: str = "/", *fields: str, **options: Any) -> Response:
        """One GET (or `method=`) on a connection of its own."""
        method = options.pop("method", "GET")
        with self.connect() as wire:
            wire.send(request(method, target, "Connection: close", *fields, **options))
            response = wire.response(to=method)
            wire.expect_end()
            return response

    def ask_json(self, target: str, *fields: str, **options: Any) -> Any:
        response = self.ask(target, *fields, **options)
        assert response.status == 200, response
        return json.loads(response.body)

    def open(self, gate: str) -> None:
        """Let through what waits for the gate in the application (`apps.asgi`)."""
        self.ask_json(f"/open?{gate}")

    def said(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Wait for a line of the log that matches as a whole."""
        return self.wait_for(re.compile(rf"^(?:{pattern})$", re.MULTILINE), LIMIT, since)

    def memory(self) -> int:
        """The resident memory in bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found, status
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def wait_until(condition: Callable[[], object], what: str, limit: float = LIMIT) -> None:
    """Look until the condition holds; for what reports itself in no other way."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"{limit:g} s passed, and not yet: {what}"
        time.sleep(0.005)


def accepts(path: str) -> bool:
    """Whether somebody listens on a Unix socket; its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


@contextlib.contextmanager
def serving(
    app: str, *options: str, directory: pathlib.Path, errors_are_wanted: bool = False
) -> Iterator[Service]:
    """A server for several tests, which must in the end have kept no descriptor, have reported
    no fault, and stop in order."""
    with Service(app, *options, directory=directory) as service:
        service.ask("/")
        before = service.descriptors()
        yield service
        wait_until(lambda: service.descriptors() <= before, "every connection is closed")
        code = service.terminate()
        assert code == CODE_AFTER_SIGTERM, f"exit code {code}:\n{service.log}"
        assert not FAULT.search(service.log), service.log
        if SERVER == "weft" and not errors_are_wanted:
            assert TRACEBACK not in service.log, service.log
