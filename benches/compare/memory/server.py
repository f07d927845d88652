"""Server memory: keep-alive requests by wrk, then connections opened and closed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..server import load
from ..server.peers import PEERS
from ..server.process import Server
from ..server.rows import ROWS
from ..server.verify import verify
from ..support.accounting import open_files, rss_kib
from ..support.errors import SampleError
from ..support.machine import Cores
from .connections import churn
from .growth import Series

ROW = ROWS["get"]
STEPS = 10
# A server frees a closed connection in a later turn of its loop.
SETTLE = 0.5
# Above the servers' keep-alive time-out of 5 s: what a server holds until then is no leak.
AFTER_KEEP_ALIVE = 6.0


@dataclass(frozen=True)
class Plan:
    """How much of everything; the warm-up brings heap and caches to their working size."""

    requests: int
    connections: int
    seconds: int
    together: int
    cores: Cores
    sink: Path

    @property
    def warm_requests(self) -> int:
        """A tenth of the run."""
        return self.requests // 10

    @property
    def warm_connections(self) -> int:
        """A tenth of the run."""
        return max(100, self.connections // 10)


def _request(server: Server, wanted: int, plan: Plan) -> int:
    """Windows of wrk until `wanted` requests are answered."""
    done = 0
    while done < wanted:
        found = load.run(ROW, server.port, plan.seconds, plan.together, plan.cores)
        if found.errors or not found.requests:
            raise SampleError(f"errors under load: {found.errors or 'no answer'}")
        done += found.requests
    return done


def _rss(server: Server, settle: float = SETTLE) -> int:
    time.sleep(settle)
    return rss_kib(server.pid)


def check(peer: str, plan: Plan) -> list[Series]:
    """Two series of one server process: requests first, then connections."""
    with Server(PEERS[peer], ROW.app, log=False, cores=plan.cores, sink=plan.sink) as server:
        verify(ROW, server.port)
        _request(server, plan.warm_requests, plan)
        churn(server.port, plan.warm_connections)
        requests = Series(peer, "server", "requests", _rss(server))
        files = open_files(server.pid)
        done = 0
        while done < plan.requests:
            done += _request(server, plan.requests // STEPS, plan)
            requests.add(done, _rss(server))
        requests.files = (files, open_files(server.pid))
        connections = Series(peer, "server", "connections", requests.baseline)
        for step in range(1, STEPS + 1):
            churn(server.port, plan.connections // STEPS)
            settle = AFTER_KEEP_ALIVE if step == STEPS else SETTLE
            connections.add(step * (plan.connections // STEPS), _rss(server, settle))
        connections.files = (files, open_files(server.pid))
        return [requests, connections]
