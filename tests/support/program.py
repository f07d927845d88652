"""A server in a process of its own: started from the command line, watched through its log.

`WEFT_TEST_SERVER=uvicorn` runs the same tests on uvicorn: when one fails on weft, that tells
whether the example or weft is at fault. It must be installed by hand.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = os.environ.get("WEFT_TEST_SERVER", "weft")
# uvicorn ends itself with the signal that stopped it; weft reports that it stopped in order.
CODE_AFTER_SIGTERM = 0 if SERVER == "weft" else -signal.SIGTERM
RUNNING_ON = re.compile(r"running on (http://\S+)", re.IGNORECASE)
START_LIMIT = 30.0
STOP_LIMIT = 30.0
# The caller's settings must not leak into the programs under test.
PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")


class Program:
    """One run of `weft ARGUMENTS…`; use as a context manager."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        directory: pathlib.Path,
        environment: Mapping[str, str] | None = None,
        errors: IO[str] | None = None,
        python: bool = False,
    ) -> None:
        """`errors` takes what the program writes to stderr, which is else a part of the log.

        With `python`, the arguments are the interpreter's, and a server is started by them.
        """
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        executable = pathlib.Path(sys.executable)
        program = executable if python else executable.with_name(SERVER)
        inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(
            [program, *arguments],
            cwd=directory,
            env=inherited | {"PYTHONUNBUFFERED": "1"} | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors is None else errors,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._reader = threading.Thread(target=self._read, name="log-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    @property
    def pid(self) -> int:
        """The process that was started: the server itself, or the supervisor of several."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the program has said so far."""
        with self._news:
            return "".join(self._lines)

    def mark(self) -> int:
        """Where the log ends now: later searches can begin here."""
        with self._news:
            return len(self._lines)

    def client(self) -> httpx.Client:
        """An HTTP client for the address that the program says it runs on."""
        url = self.wait_for(RUNNING_ON, START_LIMIT)[1]
        # No proxy from the environment may come between the test and the loopback.
        return httpx.Client(base_url=url, timeout=20, trust_env=False)

    def wait_for(self, pattern: re.Pattern[str], limit: float, since: int = 0) -> re.Match[str]:
        """The first match in the log, which must come before the limit and before the end."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._search(pattern, since), limit)
            found = self._search(pattern, since)
            said = "".join(self._lines)
        assert found, f"no {pattern.pattern!r} within {limit:g} s; the program said:\n{said}"
        return found

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def terminate(self) -> int:
        """Send SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit code, once the program and its log have ended."""
        try:
            code = self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"did not end within {STOP_LIMIT:g} s:\n{self.log}") from None
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _search(self, pattern: re.Pattern[str], since: int) -> re.Match[str] | None:
        return pattern.search("".join(self._lines[since:]))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
