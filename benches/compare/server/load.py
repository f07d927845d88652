"""Running wrk: a native client on its own core, and its totals as numbers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ..support.errors import SampleError
from ..support.machine import ROOT, Cores
from . import socket_load
from .rows import Row

SCRIPT = Path(__file__).with_name("load.lua")
MISSING = (
    "wrk is missing: install it with `apt-get install wrk` (Debian, Ubuntu), "
    "`dnf install wrk` (Fedora) or `brew install wrk`"
)


@dataclass(frozen=True)
class Load:
    """What wrk saw in one window; `busy` is the share of its core that it used."""

    requests: int
    seconds: float
    received: int
    errors: dict[str, int]
    p50_us: int
    p99_us: int
    max_us: int
    busy: float


def available() -> bool:
    """wrk is on the PATH."""
    return shutil.which("wrk") is not None


def run(row: Row, port: int, seconds: int, connections: int, cores: Cores) -> Load:
    """Load the server for whole seconds (wrk knows no fractions); WebSockets by our own client."""
    command = cores.pin(cores.load)
    command += _wrk(row, port, seconds, connections)
    if row.in_flight:
        numbers = map(str, (port, seconds, connections, row.in_flight))
        command = [*cores.pin(cores.load), sys.executable, "-m", socket_load.__name__, *numbers]
    begun = time.monotonic()
    # A file, not a pipe: wait4 gives wrk's own CPU time, and a pipe would want reading first.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    busy = (used.ru_utime + used.ru_stime) / (time.monotonic() - begun)
    return _parse(text, busy)


def _wrk(row: Row, port: int, seconds: int, connections: int) -> list[str]:
    fields = [f"{name}: {value}" for name, value in row.headers.items()]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    return [*command, f"http://127.0.0.1:{port}/", "--", row.method, str(row.body_size), *fields]


def _parse(text: str, busy: float) -> Load:
    marked = [line for line in text.splitlines() if line.startswith("@@")]
    if not marked:
        raise SampleError(f"wrk: {text.strip()[-200:]}")
    found = json.loads(marked[0][2:])
    kinds = ("connect", "read", "write", "status", "timeout")
    return Load(
        requests=found["requests"],
        seconds=found["duration_us"] / 1e6,
        received=found["bytes"],
        errors={kind: found[kind] for kind in kinds if found[kind]},
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        max_us=found["max_us"],
        busy=round(busy, 3),
    )
