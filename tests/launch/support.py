"""Runs of the command `weft` in a process of its own, with a stand-in for the server."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

STAND_IN = pathlib.Path(__file__).with_name("stand_in")
LIMIT = 20.0
# The caller's settings must not leak into the programs under test.
PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR")

# An "application" that answers each connection with its process id, and ends on SIGTERM.
PID_SERVER = """
import os, signal, socket, sys

def app(settings, fds):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(fileno=fds[0]) as listener:
        listener.setblocking(True)
        print(f"serving [{os.getpid()}]", flush=True)
        while True:
            connection, _ = listener.accept()
            connection.sendall(str(os.getpid()).encode())
            connection.close()
"""


def environment(**extra):
    inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return inherited | {"PYTHONPATH": str(STAND_IN), "PYTHONUNBUFFERED": "1"} | extra


def weft(*arguments, cwd, **extra):
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "weft", *map(str, arguments)],
        cwd=cwd,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


class Running:
    """A run that goes on until it is told to end; use as a context manager."""

    def __init__(self, *arguments, cwd, python_flags=(), **extra):
        self._text = ""
        self._ended = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, *python_flags, "-m", "weft", *map(str, arguments)],
            cwd=cwd,
            env=environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a signal to its group must not reach the tests
            text=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    @property
    def text(self):
        with self._news:
            return self._text

    def find(self, pattern, count=1):
        """Wait for so many matches in the output; all of them."""
        compiled = re.compile(pattern)
        with self._news:
            self._news.wait_for(
                lambda: self._ended or len(compiled.findall(self._text)) >= count, LIMIT
            )
            found = compiled.findall(self._text)
        assert len(found) >= count, f"not {count} times {pattern!r} in:\n{self.text}"
        return found

    def signal(self, number):
        self._process.send_signal(number)

    def signal_group(self, number):
        os.killpg(self.pid, number)

    def stop(self):
        """Send SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        """The exit code, once the program and everything that shares its output has ended."""
        code = self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        assert not self._reader.is_alive(), f"something still holds the output:\n{self.text}"
        self._process.stdout.close()
        return code

    def _read(self):
        for line in self._process.stdout:
            with self._news:
                self._text += line
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def ask(port):
    """What the service says to a new connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        return connection.makefile().read()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)
