"""What the kernel says a process tree has used: CPU time, context switches, memory.

Knows /proc and the per-process CPU clocks of Linux; must not know servers or loops.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import SampleError

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Counters of one process tree at one moment, or the difference of two moments."""

    pids: frozenset[int]
    cpu_ns: int
    user_s: float
    system_s: float
    switches: dict[int, tuple[int, int]]

    def since(self, earlier: Usage) -> Spent:
        """What was used between `earlier` and now; a changed process set is no valid window."""
        if self.pids != earlier.pids:
            raise SampleError("a server process came or went while it was measured")
        voluntary = forced = 0
        for thread, (wanted, preempted) in self.switches.items():
            before = earlier.switches.get(thread, (0, 0))
            voluntary += wanted - before[0]
            forced += preempted - before[1]
        return Spent(
            cpu_ns=self.cpu_ns - earlier.cpu_ns,
            user_s=self.user_s - earlier.user_s,
            system_s=self.system_s - earlier.system_s,
            voluntary=voluntary,
            involuntary=forced,
        )


@dataclass(frozen=True)
class Spent:
    """CPU time and context switches of one window."""

    cpu_ns: int
    user_s: float
    system_s: float
    voluntary: int
    involuntary: int


def _stat_fields(pid: int) -> list[str]:
    # The command name may hold spaces and parentheses: count from the last parenthesis.
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """`root` and all its living descendants."""
    parents: dict[int, int] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int(_stat_fields(int(entry.name))[1])
        except (OSError, IndexError):
            continue  # gone between listing and reading
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def process_cpu_ns(pid: int) -> int:
    """User and system time of all threads of `pid`, those that ended included, in ns.

    This is the clock behind clock_getcpuclockid(3). /proc/PID/stat has the same sum, but in
    ticks of 10 ms, which would be a 1 % error in a window of one second.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def _switches(pid: int) -> dict[int, tuple[int, int]]:
    found = {}
    for task in (PROC / str(pid) / "task").iterdir():
        try:
            text = (task / "status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        found[int(task.name)] = (
            int(fields["voluntary_ctxt_switches"]),
            int(fields["nonvoluntary_ctxt_switches"]),
        )
    return found


def usage(root: int) -> Usage:
    """The counters of `root` and its descendants now."""
    pids = tree(root)
    cpu = user = system = 0
    switches: dict[int, tuple[int, int]] = {}
    try:
        for pid in pids:
            fields = _stat_fields(pid)
            cpu += process_cpu_ns(pid)
            user += int(fields[11])
            system += int(fields[12])
            switches.update(_switches(pid))
    except OSError as error:
        raise SampleError("a server process ended while it was measured") from error
    return Usage(frozenset(pids), cpu, user / TICKS, system / TICKS, switches)


def _kib(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def rss_kib(root: int) -> int:
    """Resident memory of the tree; pages shared by two processes count twice."""
    return sum(_kib((PROC / str(pid) / "status").read_text(), "VmRSS") for pid in tree(root))


def pss_kib(root: int) -> int | None:
    """Proportional memory of the tree: shared pages count once. None where it is forbidden."""
    try:
        texts = [(PROC / str(pid) / "smaps_rollup").read_text() for pid in tree(root)]
    except OSError:
        return None
    return sum(_kib(text, "Pss") for text in texts)


def core_busy_s(core: int) -> float:
    """Time that `core` was not idle, whoever used it; time stolen by the host counts as used."""
    for line in (PROC / "stat").read_text().splitlines():
        cells = line.split()
        if cells[0] == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, soft, steal = map(int, cells[1:9])
            return (user + nice + system + irq + soft + steal) / TICKS
    return 0.0


def open_files(root: int) -> int:
    """Open descriptors of the tree: a leaked socket shows here before it shows in memory."""
    return sum(len(list((PROC / str(pid) / "fd").iterdir())) for pid in tree(root))
