"""Runs one module of `test.test_asyncio` in this process and writes down how each test ended.

`python -m tests.conformance.child ORDER.json`: see `Order`. What happens is appended to a file as
it happens, one JSON object a line, so that a process that dies says which test it died in. A test
over its limit ends the process, with the stacks of all threads on stderr.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import pathlib
import sys
import unittest
from collections.abc import Iterator
from typing import Any

PACKAGE = "test.test_asyncio."
# The selector is handed over and not used: these classes repeat EPollEventLoopTests.
REPETITIONS = ("PollEventLoopTests", "SelectEventLoopTests")


@dataclasses.dataclass
class Order:
    """What the driver wants: a module, without some of its tests."""

    module: str
    loop: str
    record: str
    limit: float
    without: list[str]


class Recorder(unittest.TestResult):
    """Writes each outcome down at once, and keeps the limit of each test."""

    def __init__(self, record: pathlib.Path, limit: float) -> None:
        super().__init__()
        self._record = record.open("a", encoding="utf-8", buffering=1)
        self._limit = limit

    def note(self, test: unittest.TestCase | None, status: str, detail: str = "") -> None:
        """One line: the test, what became of it, and why."""
        line = {"test": name_of(test) if test else "", "status": status, "detail": detail}
        self._record.write(json.dumps(line) + "\n")

    def watch(self) -> None:
        """The time of one test begins now. The watchdog is C code: it needs no GIL."""
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def startTest(self, test: unittest.TestCase) -> None:
        self.watch()
        self.note(test, "started")
        super().startTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "passed")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.note(test, "failed", "CPython expects a failure here")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.note(test, "skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note(test, "failed", self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addFailure(test, err)


def name_of(test: unittest.TestCase) -> str:
    """`test_events.HandleTests.test_handle`, without the package."""
    return test.id().replace(PACKAGE, "")


def tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


def chosen(suite: unittest.TestSuite, without: list[str]) -> unittest.TestSuite:
    """The suite without its repetitions and without the tests that are named."""
    return unittest.TestSuite(
        test
        for test in tests_in(suite)
        if type(test).__name__ not in REPETITIONS and name_of(test) not in without
    )


def main(order: Order) -> None:
    shim = None
    if order.loop == "weft":
        from tests.conformance import shim

        shim.install()
    loaded = unittest.defaultTestLoader.loadTestsFromName(PACKAGE + order.module)
    recorder = Recorder(pathlib.Path(order.record), order.limit)
    chosen(loaded, order.without).run(recorder)
    recorder.note(None, "ended", str(shim.Loop.made if shim else 0))
    # What is left running must not keep the interpreter from ending either.
    recorder.watch()


if __name__ == "__main__":
    main(Order(**json.loads(pathlib.Path(sys.argv[1]).read_text())))
