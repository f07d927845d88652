"""Taking loop samples: one process each, pinned, with a watchdog; loops take turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from ..support.errors import SampleError
from ..support.machine import ROOT, Cores, environment
from ..support.stats import rotated
from ..support.syscalls import of_command
from .loops import OVERLAY_OF
from .rows import ROWS

SAMPLE = "benches.compare.loop.sample"


@dataclass(frozen=True)
class Run:
    """What the command line asked for, with the loops that can run."""

    rows: list[str]
    loops: list[str]
    rounds: int
    seconds: float
    cores: Cores
    syscalls: bool

    @property
    def limit(self) -> float:
        """Seconds until a sample counts as hung: start, warm-up and slope included."""
        return 12.0 + 4 * self.seconds


def _reason(returncode: int, errors: str) -> str:
    """The last line of a traceback, or the signal that ended the process."""
    if returncode < 0:
        return f"crashes: {signal.Signals(-returncode).name}"
    lines = errors.strip().splitlines()
    last = lines[-1][:160] if lines else f"exit code {returncode}"
    return f"n/a: {last}"


def take(loop: str, row: str, run: Run) -> dict[str, object]:
    """One sample; raises SampleError with `hangs`, `crashes: ...` or `n/a: ...`."""
    command = [*run.cores.pin(run.cores.server), sys.executable, "-m", SAMPLE]
    command += [loop, row, "--seconds", str(run.seconds)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(OVERLAY_OF.get(loop, "")),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=run.limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise SampleError("hangs") from None
    # A loop may have done its work and then fail to close: that is worth knowing, not hiding.
    if process.returncode:
        raise SampleError(_reason(process.returncode, errors))
    found: dict[str, object] = json.loads(output.splitlines()[-1])
    return found


def measure(run: Run) -> list[dict[str, object]]:
    """Round by round, row by row, the loops of a row one directly after the other.

    A loop that hangs in a row is not asked again for it: each hang costs the watchdog's limit.
    """
    taken: list[dict[str, object]] = []
    hung: set[tuple[str, str]] = set()
    for number in range(1, run.rounds + 1):
        for index, row in enumerate(run.rows):
            for loop in rotated(run.loops, number + index):
                if (row, loop) in hung:
                    continue
                key: dict[str, object] = {"row": row, "peer": loop, "round": number}
                try:
                    key |= take(loop, row, run)
                    text = f"{float(str(key['ops_per_s'])):,.0f}/s"
                except SampleError as error:
                    key["error"] = text = str(error)
                    if text == "hangs":
                        hung.add((row, loop))
                taken.append(key)
                print(f"round {number}: {row}, {loop}: {text}", file=sys.stderr, flush=True)
    return taken


def count_syscalls(run: Run, tool: str) -> list[dict[str, object]]:
    """System calls an operation: a long sample minus a short one, so that the start drops out."""
    counts: list[dict[str, object]] = []
    for row in [name for name in run.rows if ROWS[name].syscalls]:
        for loop in run.loops:
            key: dict[str, object] = {"row": row, "peer": loop, "tool": tool}
            try:
                key["per_op"] = _syscalls_per_op(loop, row, tool, run)
            except SampleError as error:
                key["error"] = str(error)
            counts.append(key)
    return counts


def _syscalls_per_op(loop: str, row: str, tool: str, run: Run) -> float:
    command = [sys.executable, "-m", SAMPLE, loop, row, "--batches"]
    calls, ops = [], []
    for batches in (1, 4):
        counted, output = of_command(
            [*command, str(batches)], tool, 5 * run.limit, environment(OVERLAY_OF.get(loop, ""))
        )
        calls.append(counted.total)
        ops.append(int(json.loads(output.splitlines()[-1])["ops"]))
    return (calls[1] - calls[0]) / (ops[1] - ops[0])
