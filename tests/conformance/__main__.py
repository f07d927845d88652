"""`python -m tests.conformance [MODULE…]`: the suite as a table, then what is wrong, in full.

Exit code 0 if all is as it should be, 1 if not, 2 if it could not be run.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
from collections.abc import Iterable, Mapping

from tests.conformance import suite
from tests.conformance.verdict import complaints, listed

COLUMNS = ("run", "passed", "skipped", "listed", "failed", "hung", "loops")
ROW = "{:26}" + "{:>9}" * len(COLUMNS)


def main() -> int:
    there = suite.modules()
    if not there:
        print(suite.HOW_TO_GET_IT, file=sys.stderr)
        return 2
    options = arguments(there)
    known = listed() if options.loop == "weft" else {}
    print(f"test.test_asyncio of Python {sys.version.split()[0]} on {options.loop}'s loop")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda module: suite.run_module(module, loop=options.loop), options.modules or there
        )
        wrong = report(runs, known)
    for complaint in wrong:
        print(f"\n{complaint}")
    return 1 if wrong else 0


def arguments(there: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="for instance test_events")
    parser.add_argument(
        "--loop",
        choices=("weft", "asyncio"),
        default="weft",
        help="asyncio: the suite as it is, to tell a fault of weft from one of the machine",
    )
    options = parser.parse_args()
    if unknown := sorted(set(options.modules) - set(there)):
        parser.error(f"no such modules: {' '.join(unknown)}; there are: {' '.join(there)}")
    return options


def report(runs: Iterable[suite.Run], known: Mapping[str, str]) -> list[str]:
    """Prints a line for each run when it has ended; what is wrong with them."""
    print(ROW.format("module", *COLUMNS))
    total, wrong = [0] * len(COLUMNS), []
    for run in runs:
        numbers = row(run, known)
        total = [before + number for before, number in zip(total, numbers, strict=True)]
        print(ROW.format(run.module, *numbers), flush=True)
        wrong += [f"{run.module}: {complaint}" for complaint in complaints(run, known)]
    print(ROW.format("all", *total))
    return wrong


def row(run: suite.Run, known: Mapping[str, str]) -> list[int]:
    """One number for each of COLUMNS; a crash counts as a hang."""
    failed = [outcome for outcome in run.outcomes if outcome.status == "failed"]
    expected = sum(outcome.test in known for outcome in failed)
    skipped = run.count("skipped")
    return [
        len(run.outcomes) - skipped,
        run.count("passed"),
        skipped,
        expected,
        len(failed) - expected,
        run.count("hung", "crashed"),
        run.loops,
    ]


if __name__ == "__main__":
    sys.exit(main())
