"""Holds a run against `listed.toml`: the tests that weft does not pass, each with its reason."""

from __future__ import annotations

import pathlib
import sys
import tomllib
from collections.abc import Mapping

from tests.conformance.suite import Run

LIST = pathlib.Path(__file__).with_name("listed.toml")
# Modules whose tests make no loop, or only loops of their own; all others must make weft's.
WITHOUT_LOOPS = (
    "test_futures",
    "test_pep492",
    "test_protocols",
    "test_runners",
    "test_tools",
    "test_transports",
)
FIRST, LAST = "3.0", "3.99"


def listed(version: tuple[int, int] = sys.version_info[:2]) -> dict[str, str]:
    """The tests that are known to fail on a version of Python, each with the reason."""
    known: dict[str, str] = {}
    for group in tomllib.loads(LIST.read_text())["group"]:
        since, until = numbers(group.get("since", FIRST)), numbers(group.get("until", LAST))
        if since <= version <= until:
            known |= {f"{group['class']}.{test}": group["reason"] for test in group["tests"]}
    return known


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def complaints(run: Run, known: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with a run, in words; nothing if all is well."""
    broken = [outcome for outcome in run.outcomes if outcome.status in ("hung", "crashed")]
    found = [f"{outcome.test} {outcome.status}:\n{outcome.detail}" for outcome in broken]
    for outcome in run.outcomes:
        if outcome.status == "failed" and outcome.test not in known:
            found.append(f"{outcome.test} failed:\n{outcome.detail}")
        elif outcome.status == "passed" and outcome.test in known:
            found.append(f"{outcome.test} passes: take it out of {LIST.name}")
    # What follows says nothing about a module that did not come to its end.
    return found if broken else found + gaps(run, known)


def gaps(run: Run, known: Mapping[str, str]) -> list[str]:
    """What a run should have had and did not."""
    seen = {outcome.test for outcome in run.outcomes}
    gone = [test for test in known if test.split(".")[0] == run.module and test not in seen]
    found = [f"{test} does not exist: take it out of {LIST.name}" for test in gone]
    if not run.count("passed"):
        found.append("no test has passed")
    if run.loop == "weft" and not run.loops and run.module not in WITHOUT_LOOPS:
        found.append("the tests have made no loop of weft's: the shim does not reach them")
    return found
