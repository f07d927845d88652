"""`python -m benches.compare.loop`: every loop row against the peers in one interleaved run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..support import results
from ..support.machine import choose_cores
from ..support.options import common_parser, pick, saves
from ..support.syscalls import perf_works, strace_works
from . import report
from .loops import DEFAULT_LOOPS, LOOPS, missing
from .rows import QUICK_ROWS, ROWS
from .run import Run, count_syscalls, measure

MODULE = "benches.compare.loop"


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(MODULE, "weft's event loop against its peers, in one run")
    choices = ("auto", "none")
    parser.add_argument("--syscalls", choices=choices, default="auto", help="count system calls")
    return parser


def _present(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        absent = missing(name)
        if absent:
            print(f"{name}: left out, {absent}", file=sys.stderr)
        else:
            found.append(name)
    return found


def _plan(args: argparse.Namespace) -> Run:
    quick = bool(args.quick)
    return Run(
        rows=pick(args.rows, ROWS, QUICK_ROWS if quick else ROWS, "rows"),
        loops=_present(pick(args.peers, LOOPS, DEFAULT_LOOPS, "peers")),
        rounds=args.rounds or (1 if quick else 7),
        seconds=args.seconds or (0.1 if quick else 0.5),
        cores=choose_cores(),
        syscalls=args.syscalls == "auto" and not quick,
    )


def _placement(run: Run) -> str:
    if run.cores.server is None:
        return "one core only, nothing is pinned"
    return f"each sample with all its threads pinned to core {run.cores.server}"


def main() -> int:
    """Exit code 1 when weft, or the only loop asked for, has a sample that is not valid."""
    args = _parser().parse_args()
    run = _plan(args)
    if not run.loops:
        return 2
    base = "weft" if "weft" in run.loops else run.loops[-1]
    setup: dict[str, object] = {
        "placement": _placement(run),
        "window_s": run.seconds,
        "rounds": run.rounds,
        "sample": "a process of its own, both ends of a connection in it",
    }
    described = results.describe_run(MODULE, setup)
    taken = measure(run)
    tool = "perf" if perf_works() else "strace" if strace_works() else None
    counts = count_syscalls(run, tool) if run.syscalls and tool else []
    tables = report.tables(taken, counts, base)
    for table in tables:
        print(table.text())
    if saves(args):
        described["syscalls"] = counts
        print(results.save("loop", described, taken, tables, args.output))
    return int(any("error" in found for found in taken if found["peer"] == base))


if __name__ == "__main__":
    sys.exit(main())
