"""Runs one module of unittest tests in this process and writes down how each test ended.

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

# The selector is handed over and not used: these classes repeat EPollEventLoopTests.
REPETITIONS = ("PollEventLoopTests", "SelectEventLoopTests")


@dataclasses.dataclass
class Order:
    """What the driver wants: a module of a package, on a loop, without some of its tests."""

    package: str
    module: str
    loop: str
    limit: float
    """Seconds that a test may take, and the interpreter's end too."""
    record: str = ""
    without: list[str] = dataclasses.field(default_factory=list)


class Recorder(unittest.TestResult):
    """Writes each outcome down at once, and keeps the limit of each test."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self._record = open(order.record, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._order = order

    def note(self, test: str, status: str, detail: str = "") -> None:
        """One line: the test, what became of it, and why."""
        self._record.write(json.dumps({"test": test, "status": status, "detail": detail}) + "\n")

    def watch(self) -> None:
        """The limit begins now. The watchdog is C code: it needs no GIL."""
        faulthandler.dump_traceback_later(self._order.limit, exit=True)

    def end(self, loops: int) -> None:
        """The last line: how many loops of weft the tests have made."""
        # What is left running must not keep the interpreter from ending either.
        self.watch()
        self.note("", "ended", str(loops))
        self._record.close()

    def startTest(self, test: unittest.TestCase) -> None:
        self.watch()
        self.note(name_of(test, self._order), "started")
        super().startTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.note(name_of(test, self._order), "passed")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.note(name_of(test, self._order), "failed", "the suite expects a failure here")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.note(name_of(test, self._order), "skipped", reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        detail = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        self.note(name_of(test, self._order), "failed", detail)

    addError = addFailure

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addFailure(test, err)


def name_of(test: unittest.TestCase, order: Order) -> str:
    """`test_events.HandleTests.test_handle`, without the package."""
    return test.id().replace(order.package + ".", "")


def tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_in(item)
        else:
            yield item


def chosen(suite: unittest.TestSuite, order: Order) -> unittest.TestSuite:
    """The suite without its repetitions and without the tests that the order leaves out."""
    return unittest.TestSuite(
        test
        for test in tests_in(suite)
        if type(test).__name__ not in REPETITIONS and name_of(test, order) not in order.without
    )


def main(order: Order) -> None:
    shim = None
    if order.loop == "weft":
        from tests.conformance import shim  # before the tests import asyncio's names

        shim.install()
    recorder = Recorder(order)
    loaded = unittest.defaultTestLoader.loadTestsFromName(f"{order.package}.{order.module}")
    chosen(loaded, order).run(recorder)
    recorder.end(shim.Loop.made if shim else 0)


if __name__ == "__main__":
    main(Order(**json.loads(pathlib.Path(sys.argv[1]).read_text())))
