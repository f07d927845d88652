"""`python -m benches.compare.server`: the whole server comparison in one interleaved run."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..support import results
from ..support.errors import SampleError
from ..support.machine import choose_cores
from ..support.options import common_parser, pick, saves
from ..support.stats import rotated
from ..support.syscalls import perf_works, strace_works
from . import load, report, sample
from .peers import DEFAULT_PEERS, PEERS, QUICK_PEERS
from .rows import DEFAULT_ROWS, ROWS, Row

MODULE = "benches.compare.server"
SYSCALL_PEERS = ("weft", "uvicorn", "uvicorn-uvloop022")

Found = dict[str, object]


@dataclass(frozen=True)
class Run:
    """What the command line asked for, with the peers that can run."""

    rows: list[str]
    logs: list[bool]
    peers: list[str]
    rounds: int
    plan: sample.Plan
    syscall_peers: list[str]


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(MODULE, "weft's server against its peers, in one run")
    parser.add_argument("--log", choices=("off", "on", "both"), help="access log (default: both)")
    parser.add_argument("--windows", type=int, help="windows of each server in a round")
    parser.add_argument("--connections", type=int, help="wrk's connections (default: the row's)")
    parser.add_argument("--warmup", type=int, help="seconds of load before each window")
    parser.add_argument("--syscalls", help="peers whose system calls are counted, or `none`")
    return parser


def _sink_directory() -> str | None:
    """Memory, where there is such a file system: the disk's write-back is no server's cost."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _present(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        absent = PEERS[name].missing()
        if absent:
            print(f"{name}: left out, {absent}", file=sys.stderr)
        else:
            found.append(name)
    return found


def _plan(args: argparse.Namespace, sinks: Path) -> Run:
    quick = bool(args.quick)
    warmup = args.warmup if args.warmup is not None else (0 if quick else 1)
    log = args.log or ("off" if quick else "both")
    peers = _present(pick(args.peers, PEERS, QUICK_PEERS if quick else DEFAULT_PEERS, "peers"))
    if args.syscalls is None:
        counted = [] if quick else [name for name in SYSCALL_PEERS if name in peers]
    else:
        wanted = None if args.syscalls == "none" else args.syscalls
        counted = _present(pick(wanted, PEERS, [], "peers"))
    return Run(
        rows=pick(args.rows, ROWS, DEFAULT_ROWS, "rows"),
        logs={"off": [False], "on": [True], "both": [False, True]}[log],
        peers=peers,
        rounds=args.rounds or (1 if quick else 3),
        plan=sample.Plan(
            seconds=max(1, round(args.seconds or 1)),
            warmup=warmup,
            connections=args.connections,
            cores=choose_cores(),
            sinks=sinks,
            windows=args.windows or (1 if quick else 4),
        ),
        syscall_peers=counted,
    )


def _say(label: str, taken: Found) -> None:
    if "error" in taken:
        print(f"  {label}: {taken['error']}", file=sys.stderr, flush=True)
        return
    cpu, rate = float(str(taken["cpu_us"])), float(str(taken["rps"]))
    print(f"  {label}: {cpu:.1f} us, {rate:,.0f}/s", file=sys.stderr, flush=True)


def _case(run: Run, row: Row, number: int) -> Iterator[Found]:
    """All servers of one row, log off and on, in fresh processes; their windows in turns.

    They run side by side, so that windows to be compared are seconds apart and not minutes, those
    of one server without and with its log directly; a server without load sleeps.
    """
    with ExitStack() as stack:
        subjects: dict[str, list[tuple[bool, sample.Subject]]] = {}
        for name in rotated(run.peers, number):
            for log in run.logs:
                if log and row.in_flight:
                    continue  # a WebSocket has one line, when it is opened
                try:
                    server = stack.enter_context(run.plan.start(PEERS[name], row, log))
                    subject = sample.Subject(server, row, log, run.plan)
                    subjects.setdefault(name, []).append((log, subject))
                except SampleError as error:
                    yield {"peer": name, "log": log, "window": 0, "error": str(error)}
        for window in range(run.plan.windows):
            for name in rotated(list(subjects), window):
                for log, subject in subjects[name]:
                    key: Found = {"peer": name, "log": log, "window": window, "at": time.time()}
                    try:
                        key |= subject.window()
                    except SampleError as error:
                        key["error"] = str(error)
                    yield key


def _measure(run: Run) -> list[Found]:
    """Round by round, row by row."""
    taken: list[Found] = []
    for number in range(run.rounds):
        for index, row in enumerate(run.rows):
            print(f"round {number + 1}: {row}", file=sys.stderr)
            for found in _case(run, ROWS[row], number + index):
                _say(f"{found['peer']}{', log on' if found['log'] else ''}", found)
                taken.append({"row": row, "round": number, **found})
    return taken


def _count_syscalls(run: Run) -> list[Found]:
    tools = [tool for tool, works in (("perf", perf_works), ("strace", strace_works)) if works()]
    counts: list[Found] = []
    if run.syscall_peers and not tools:
        print("system calls: neither perf nor strace can be used here", file=sys.stderr)
    for row in [name for name in run.rows if name == "get"] or run.rows[:1]:
        for name in run.syscall_peers:
            for tool in tools:
                key: Found = {"peer": name, "row": row, "counter": tool}
                try:
                    key |= sample.take_syscalls(PEERS[name], ROWS[row], tool, run.plan)
                except SampleError as error:
                    key["error"] = str(error)
                counts.append(key)
    return counts


def _setup(run: Run) -> dict[str, object]:
    commands = {
        name: " ".join(["python", *PEERS[name].command("APP", 8000, False, False)[1:]])
        for name in run.peers
    }
    return {
        "placement": run.plan.cores.describe(),
        "window_s": run.plan.seconds,
        "warmup_s": run.plan.warmup,
        "rounds": run.rounds,
        "windows_a_round": run.plan.windows,
        "connections": {name: run.plan.together(ROWS[name]) for name in run.rows},
        "log_sink": "standard output to a file in memory"
        if _sink_directory()
        else "standard output to a file",
        "commands": commands,
    }


def main() -> int:
    """Exit code 1 when weft, or the only peer asked for, has a sample that is not valid."""
    args = _parser().parse_args()
    if not load.available():
        print(load.MISSING, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=_sink_directory()) as directory:
        run = _plan(args, Path(directory))
        if not run.peers:
            print("no peer is installed: `make bench` does it", file=sys.stderr)
            return 2
        base = "weft" if "weft" in run.peers else run.peers[0]
        described = results.describe_run(MODULE, _setup(run))
        print(run.plan.cores.describe(), file=sys.stderr)
        taken = _measure(run)
        counts = _count_syscalls(run)
    tables = report.tables(taken, counts, base)
    for table in tables:
        print(table.text())
    if saves(args):
        described["syscalls"] = counts
        print(results.save("server", described, taken, tables, args.output))
    return int(any("error" in found for found in taken if found["peer"] == base))


if __name__ == "__main__":
    sys.exit(main())
