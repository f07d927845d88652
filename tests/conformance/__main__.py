"""`python -m tests.conformance [MODULE…]`: the suite as a table. Exit code 1 if anything is wrong.

Two modules at a time, each in processes of its own.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys

from tests.conformance import suite
from tests.conformance.verdict import complaints, listed

ROW = "{:26} {:>6} {:>7} {:>8} {:>7} {:>7} {:>6} {:>6}"


def main() -> int:
    options = arguments()
    there = suite.modules()
    if not there:
        print(suite.HOW_TO_GET_IT, file=sys.stderr)
        return 2
    wanted = options.modules or there
    if unknown := set(wanted) - set(there):
        print(f"no such modules: {sorted(unknown)}; there are {there}", file=sys.stderr)
        return 2
    known = listed() if options.loop == "weft" else {}
    print(f"test.test_asyncio of Python {sys.version.split()[0]} on {options.loop}'s loop")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda module: suite.run_module(module, loop=options.loop), wanted)
        wrong = report(runs, known, options.loop)
    print("\n\n".join(wrong))
    return 1 if wrong else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="for instance test_events")
    parser.add_argument(
        "--loop",
        choices=("weft", "asyncio"),
        default="weft",
        help="asyncio: the suite as it is, to tell a fault of weft from one of the machine",
    )
    return parser.parse_args()


def report(runs, known, loop) -> list[str]:
    """Prints a line for each run as it ends; what is wrong with them, for the end."""
    print(ROW.format("module", "run", "passed", "skipped", "listed", "failed", "hung", "loops"))
    total, wrong = [0] * 7, []
    for run in runs:
        numbers = row(run, known)
        total = [before + number for before, number in zip(total, numbers, strict=True)]
        print(ROW.format(run.module, *numbers), flush=True)
        found = complaints(run, known) if loop == "weft" else complaints_of_control(run)
        wrong += [f"{run.module}: {complaint}" for complaint in found]
    print(ROW.format("all", *total))
    return wrong


def row(run: suite.Run, known) -> list[int]:
    """run, passed, skipped, listed, failed, hung (crashed ones too), loops of weft."""
    failed = [outcome for outcome in run.outcomes if outcome.status == "failed"]
    expected = sum(outcome.test in known for outcome in failed)
    hung = run.count("hung") + run.count("crashed")
    skipped = run.count("skipped")
    ran = len(run.outcomes) - skipped
    return [ran, run.count("passed"), skipped, expected, len(failed) - expected, hung, run.loops]


def complaints_of_control(run: suite.Run) -> list[str]:
    bad = ("failed", "hung", "crashed")
    return [f"{o.test} {o.status}:\n{o.detail}" for o in run.outcomes if o.status in bad]


if __name__ == "__main__":
    sys.exit(main())
