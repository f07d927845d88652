"""`python -m benches.compare.memory`: fails when weft's memory grows by more than 2 %."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..loop import loops
from ..server import load
from ..server.peers import PEERS
from ..support import results
from ..support.errors import SampleError
from ..support.machine import ROOT, choose_cores
from ..support.options import common_parser, pick, saves
from ..support.table import Table
from .growth import LIMIT, Series
from .loop import CHURNS
from .server import Plan, check

MODULE = "benches.compare.memory"
ROWS = ("server", *CHURNS)
SERVERS = ("weft", "uvicorn")
HANG = 120.0


def _parser() -> argparse.ArgumentParser:
    parser = common_parser(MODULE, "resident memory under churn: flat, or not")
    parser.add_argument("--requests", type=int, help="keep-alive requests (1,000,000)")
    parser.add_argument("--connections", type=int, help="connections opened and closed (100,000)")
    return parser


def _plan(args: argparse.Namespace, sink: Path) -> Plan:
    return Plan(
        requests=args.requests or (20_000 if args.quick else 1_000_000),
        connections=args.connections or (2_000 if args.quick else 100_000),
        seconds=max(1, round(args.seconds or 1)),
        together=32,
        cores=choose_cores(),
        sink=sink,
    )


def _loop_series(loop: str, row: str, args: argparse.Namespace) -> list[Series]:
    steps, scale = (args.rounds or 5, 0.1) if args.quick else (args.rounds or 10, 1.0)
    command = [sys.executable, "-m", f"{MODULE}.loop", loop, row]
    command += ["--steps", str(steps), "--scale", str(scale)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False
        )
    except subprocess.TimeoutExpired:
        raise SampleError("hangs") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SampleError(f"exit code {done.returncode}: {last[:160]}")
    found = json.loads(done.stdout.splitlines()[-1])
    series = Series(loop, row, row, found["baseline"])
    for count, rss in found["steps"]:
        series.add(count, rss)
    series.files = (found["files"][0], found["files"][1])
    return [series]


def _candidates(row: str, asked: Sequence[str]) -> list[str]:
    """The peers that a row applies to and that are installed."""
    if row == "server":
        return [name for name in asked if name in PEERS and PEERS[name].missing() is None]
    return [name for name in asked if name in loops.LOOPS and loops.missing(name) is None]


def _measure(
    args: argparse.Namespace, rows: Sequence[str], asked: Sequence[str]
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as directory:
        plan = _plan(args, Path(directory, "server.log"))
        for row in rows:
            for peer in _candidates(row, asked):
                print(f"{row}, {peer} ...", file=sys.stderr, flush=True)
                try:
                    made = check(peer, plan) if row == "server" else _loop_series(peer, row, args)
                    found += [series.record() for series in made]
                except SampleError as error:
                    found.append({"peer": peer, "row": row, "unit": row, "error": str(error)})
    return found


def _table(records: Sequence[dict[str, object]]) -> Table:
    heads = [
        "churn",
        "peer",
        "operations",
        "baseline MiB",
        "at the end",
        "growth",
        "2nd half",
        "verdict",
    ]
    table = Table(f"Resident memory: flat is at most {LIMIT:g} % over the baseline", heads)
    for record in records:
        start = [str(record["unit"]), str(record["peer"])]
        if "error" in record:
            table.add(*start, *["-"] * 5, str(record["error"]))
            continue
        steps, baseline = record["steps"], record["baseline_kib"]
        assert isinstance(steps, list)
        assert isinstance(baseline, int)
        count, last = steps[-1]
        table.add(
            *start,
            f"{count:,}",
            f"{baseline / 1024:.1f}",
            f"{last / 1024:.1f}",
            f"{record['growth_percent']} %",
            f"{record['late_growth_percent']} %",
            str(record["verdict"]),
        )
    table.notes.append(
        "baseline: after a warm-up of a tenth of the operations, two steps for loops"
    )
    return table


def main() -> int:
    """Exit code 1 when weft, or every peer asked for by name, is not flat."""
    args = _parser().parse_args()
    rows = pick(args.rows, ROWS, ROWS, "rows")
    known = dict.fromkeys([*PEERS, *loops.DEFAULT_LOOPS])
    asked = pick(args.peers, known, dict.fromkeys([*SERVERS, *loops.DEFAULT_LOOPS]), "peers")
    if "server" in rows and not load.available():
        print(load.MISSING, file=sys.stderr)
        return 2
    plan = _plan(args, Path("-"))
    setup: dict[str, object] = {"requests": plan.requests, "connections": plan.connections}
    described = results.describe_run(MODULE, setup)
    records = _measure(args, rows, asked)
    table = _table(records)
    print(table.text())
    if saves(args):
        print(results.save("memory", described, records, [table], args.output))
    judged = ["weft"] if args.peers is None else asked
    return int(any(one["peer"] in judged and one.get("verdict") != "flat" for one in records))


if __name__ == "__main__":
    sys.exit(main())
