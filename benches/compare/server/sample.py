"""One sample: load a server that was checked and warmed up, and read what it cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..support.accounting import Spent, core_busy_s, pss_kib, rss_kib, tree, usage
from ..support.errors import SampleError
from ..support.machine import Cores
from ..support.syscalls import attached
from . import load
from .load import Load
from .peers import Peer
from .process import Server
from .rows import Row
from .verify import verify

# What a server does shortly after the last answer (a batched log, a timer) belongs to it.
SETTLE = 0.15
LOG_LIMIT = 3.0


@dataclass(frozen=True)
class Plan:
    """The settings of a run that every sample shares."""

    seconds: int
    warmup: int
    connections: int | None
    cores: Cores
    sinks: Path
    windows: int = 1

    def together(self, row: Row) -> int:
        """wrk's connections: the row's own number unless the command line has one."""
        return self.connections or row.connections

    def start(self, peer: Peer, row: Row, log: bool) -> Server:
        """The peer's server, not yet running, with a file of its own for standard output."""
        sink = self.sinks / f"{peer.name}-{'log' if log else 'quiet'}"
        sockets = row.in_flight > 0
        return Server(peer, row.app, log=log, cores=self.cores, sink=sink, sockets=sockets)


def _check_load(found: Load, wire_size: int, connections: int) -> None:
    """No socket error, no other status, and exactly the bytes of so many right answers."""
    if found.errors:
        raise SampleError(f"errors under load: {found.errors}")
    if not found.requests:
        raise SampleError("no answer under load")
    # Answers cut by the end of the window are in the bytes and not in the count.
    surplus = found.received - found.requests * wire_size
    if not 0 <= surplus <= connections * wire_size:
        expected = found.requests * wire_size
        raise SampleError(f"{found.received} bytes for {found.requests} answers, not {expected}")


def _check_log(server: Server, row: Row, requests: int, log: bool) -> int:
    """With the log on there is a line for each request, with it off there is none."""
    mark = f"{row.method} /".encode()
    limit = time.monotonic() + LOG_LIMIT
    lines = server.log_file.read_bytes().count(mark)
    while log and lines < requests and time.monotonic() < limit:
        time.sleep(0.1)
        lines = server.log_file.read_bytes().count(mark)
    if log and lines < requests:
        raise SampleError(f"{lines} lines in the access log for {requests} requests")
    if not log and lines:
        raise SampleError(f"{lines} lines in the access log that is switched off")
    return lines


def _figures(found: Load, spent: Spent, wall: float, core_busy: float) -> dict[str, object]:
    return {
        "cpu_us": spent.cpu_ns / 1e3 / found.requests,
        "user_share": spent.user_s / max(spent.user_s + spent.system_s, 1e-9),
        "rps": found.requests / found.seconds,
        "p50_us": found.p50_us,
        "p99_us": found.p99_us,
        "max_us": found.max_us,
        "voluntary": spent.voluntary / found.requests,
        "involuntary": spent.involuntary / found.requests,
        "requests": found.requests,
        "seconds": found.seconds,
        "server_busy": spent.cpu_ns / 1e9 / wall,
        "load_busy": found.busy,
        "others_on_core": max(0.0, core_busy - spent.cpu_ns / 1e9) / wall,
    }


class Subject:
    """One running server that has answered rightly; windows are taken from it in turns."""

    def __init__(self, server: Server, row: Row, log: bool, plan: Plan) -> None:
        self._server = server
        self._row = row
        self._log = log
        self._plan = plan
        self._wire_size = verify(row, server.port)
        if plan.warmup:
            load.run(row, server.port, plan.warmup, plan.together(row), plan.cores)

    def _core_busy(self) -> float:
        core = self._plan.cores.server
        return 0.0 if core is None else core_busy_s(core)

    def window(self) -> dict[str, object]:
        """Load the server for one window; raises SampleError when it is not valid."""
        server, row, plan = self._server, self._row, self._plan
        with server.log_file.open("r+b") as sink:
            sink.truncate()
        before, busy, begun = usage(server.pid), self._core_busy(), time.monotonic()
        found = load.run(row, server.port, plan.seconds, plan.together(row), plan.cores)
        wall, busy = time.monotonic() - begun, self._core_busy() - busy
        time.sleep(SETTLE)
        spent = usage(server.pid).since(before)
        _check_load(found, self._wire_size, plan.together(row))
        lines = _check_log(server, row, found.requests, self._log)
        memory = {"rss_kib": rss_kib(server.pid), "pss_kib": pss_kib(server.pid)}
        return {**_figures(found, spent, wall, busy), **memory, "log_lines": lines}


def take_syscalls(peer: Peer, row: Row, tool: str, plan: Plan) -> dict[str, object]:
    """System calls a request, from a run of its own: counting changes the speed."""
    found: list[Load] = []

    def work() -> None:
        found.append(load.run(row, server.port, plan.seconds, plan.together(row), plan.cores))

    with plan.start(peer, row, False) as server:
        wire_size = verify(row, server.port)
        calls = attached(tree(server.pid), tool, work)
    _check_load(found[0], wire_size, plan.together(row))
    requests = found[0].requests
    top = sorted(calls.names.items(), key=lambda item: -item[1])[:8]
    return {
        "tool": calls.tool,
        "per_request": calls.total / requests,
        "requests": requests,
        "names": {name: round(count / requests, 4) for name, count in top},
    }
