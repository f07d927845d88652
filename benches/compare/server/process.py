"""One server process tree: started on its core, awaited until it answers, and always ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ..support.accounting import tree
from ..support.errors import SampleError
from ..support.machine import ROOT, Cores, environment
from .peers import Peer

START_LIMIT = 20.0
STOP_LIMIT = 5.0


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`with Server(...) as server:` runs one peer in its own process group."""

    def __init__(
        self, peer: Peer, app: str, *, log: bool, cores: Cores, sink: Path, sockets: bool = False
    ) -> None:
        self.port = free_port()
        self.log_file = sink
        self._command = [*cores.pin(cores.server), *peer.command(app, self.port, log, sockets)]
        self._environment = environment(peer.overlay)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process the peer was started as; its workers are its descendants."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.log_file.write_bytes(b"")
        # Appending, so that truncating the file between windows does not leave a hole.
        with self.log_file.open("ab") as sink:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        try:
            self._await_listening()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _await_listening(self) -> None:
        assert self._process is not None
        limit = time.monotonic() + START_LIMIT
        while time.monotonic() < limit:
            if self._process.poll() is not None:
                raise SampleError(f"ended at start with {self._process.returncode}: {self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise SampleError(f"does not listen after {START_LIMIT:.0f} s: {self.tail()}")

    def tail(self) -> str:
        """The end of what the server printed, in one line."""
        text = self.log_file.read_bytes()[-400:].decode(errors="replace")
        return " / ".join(text.strip().splitlines()[-3:])

    def _stop(self) -> None:
        """SIGTERM to the server, and SIGKILL to what is left of its own group."""
        assert self._process is not None
        descendants = tree(self.pid)[1:] if self._process.poll() is None else []
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._await_gone(descendants)

    @staticmethod
    def _await_gone(pids: list[int]) -> None:
        """A worker that still ends would run on the next sample's core."""
        limit = time.monotonic() + STOP_LIMIT
        while time.monotonic() < limit and any(Path(f"/proc/{pid}").exists() for pid in pids):
            time.sleep(0.01)
