"""Counting the system calls of running processes, or of one command, with perf or strace.

perf counts a kernel tracepoint and leaves the speed as it is; strace stops the process at every
call, so a loaded server finds more work waiting at each poll than it would in truth. perf is
therefore preferred for the total; strace is what names the calls.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SampleError
from .machine import ROOT

EVENT = "raw_syscalls:sys_enter"


@dataclass
class Calls:
    """System calls of one window: the total, the tool, and the names when the tool tells them."""

    total: int
    tool: str
    names: dict[str, int] = field(default_factory=dict)


def perf_works() -> bool:
    """perf is installed, its kernel event exists and this user may count it."""
    if shutil.which("perf") is None:
        return False
    trial = ["perf", "stat", "-x,", "-e", EVENT, "true"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(re.search(rf"^\d+,.*{EVENT}", done.stderr, re.MULTILINE))


def strace_works() -> bool:
    """strace is installed and this user may trace."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-c", "true"], capture_output=True, check=False)
    return done.returncode == 0


def _parse_perf(text: str) -> Calls:
    found = re.search(rf"^(\d+),.*{EVENT}", text, re.MULTILINE)
    if found is None:
        raise SampleError("perf gave no count")
    return Calls(int(found[1]), "perf")


def _parse_strace(text: str) -> Calls:
    """`% time  seconds  usecs/call  calls  [errors]  syscall`, one line a call."""
    names = {}
    for line in text.splitlines():
        cells = line.split()
        if len(cells) >= 5 and re.fullmatch(r"[\d.]+", cells[0]) and cells[-1] != "total":
            names[cells[-1]] = int(cells[3])
    if not names:
        raise SampleError("strace gave no count")
    return Calls(sum(names.values()), "strace", names)


def _watch(command: list[str], output: Path, work: Callable[[], None]) -> str:
    """Run the counter beside `work` and end it with SIGINT, on which both tools report."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as counter:
        time.sleep(0.3)  # both attach within a few ms; what happens before them is not counted
        if counter.poll() is not None:
            assert counter.stderr is not None
            raise SampleError(f"{command[0]}: {counter.stderr.read().decode().strip()[-200:]}")
        try:
            work()
        finally:
            counter.send_signal(signal.SIGINT)
            counter.wait(10)
    return output.read_text()


def attached(pids: Sequence[int], tool: str, work: Callable[[], None]) -> Calls:
    """The system calls that `pids` make while `work` runs."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "calls")
        if tool == "perf":
            listed = ",".join(map(str, pids))
            command = ["perf", "stat", "-x,", "-e", EVENT, "-o", str(output), "-p", listed]
            return _parse_perf(_watch(command, output, work))
        traced = [part for pid in pids for part in ("-p", str(pid))]
        command = ["strace", "-f", "-c", "-o", str(output), *traced]
        return _parse_strace(_watch(command, output, work))


def of_command(
    command: Sequence[str], tool: str, timeout: float, variables: dict[str, str]
) -> tuple[Calls, str]:
    """All system calls of one command and its children, and what it printed."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "calls")
        if tool == "perf":
            counter = ["perf", "stat", "-x,", "-e", EVENT, "-o", str(output), "--"]
        else:
            counter = ["strace", "-f", "-c", "-o", str(output), "--"]
        try:
            done = subprocess.run(
                [*counter, *command],
                cwd=ROOT,
                env=variables,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            raise SampleError(f"no count: {type(error).__name__}") from error
        text = output.read_text()
    return (_parse_perf(text) if tool == "perf" else _parse_strace(text)), done.stdout
