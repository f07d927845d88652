"""Which modules are run, and the run of one: as many processes as it takes to get past hangs."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tests.conformance.child import Order

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 60.0
# After so many hung or crashed tests the module is given up; all of them are reported.
MOST_PROCESSES = 6

HOW_TO_GET_IT = (
    "this interpreter comes without test.test_asyncio: "
    "install libpython3-testsuite (Debian) or a build from python.org or pyenv"
)

# Modules about another loop, or about none; all others of the interpreter are run.
LEFT_OUT = {
    "test_proactor_events": "the loop of Windows",
    "test_selector_events": "the inside of asyncio's own selector loop",
    "test_windows_events": "the loop of Windows",
    "test_windows_utils": "Windows",
}


@dataclasses.dataclass
class Outcome:
    """How one test ended: passed, failed, skipped, hung or crashed; and why."""

    test: str
    status: str
    detail: str


@dataclasses.dataclass
class Run:
    """What became of one module."""

    module: str
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    loops: int = 0
    """How many loops of weft the tests have made."""

    def add(self, outcome: Outcome) -> None:
        """The first outcome that is not good stays: a test may fail in more than one part."""
        known = next((known for known in self.outcomes if known.test == outcome.test), None)
        if known is None:
            self.outcomes.append(outcome)
        elif known.status == "passed":
            known.status, known.detail = outcome.status, outcome.detail

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)


def modules() -> list[str]:
    """The modules of this interpreter's `test.test_asyncio` that are run; none without it."""
    try:
        spec = importlib.util.find_spec("test.test_asyncio")
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        return []
    folders = spec.submodule_search_locations or ()
    found = {path.stem for folder in folders for path in pathlib.Path(folder).glob("test_*.py")}
    return sorted(found - LEFT_OUT.keys())


def run_module(module: str, *, loop: str = "weft", limit: float = LIMIT) -> Run:
    """Run a module; again without the tests that hung or ended the process, if there are any."""
    run = Run(module)
    for _ in range(MOST_PROCESSES):
        without = [outcome.test for outcome in run.outcomes]
        with tempfile.TemporaryDirectory(prefix="weft-conformance-") as folder:
            if run_process(run, Order(module, loop, "", limit, without), pathlib.Path(folder)):
                break
    return run


def run_process(run: Run, order: Order, folder: pathlib.Path) -> bool:
    """One process: what it did is added to the run. Whether it came to its end."""
    record, log = folder / "record", folder / "log"
    record.touch()
    order.record = str(record)
    (folder / "order.json").write_text(json.dumps(dataclasses.asdict(order)))
    (folder / "work").mkdir()
    with log.open("w") as output:
        code = subprocess.call(
            [sys.executable, "-W", "default", "-m", __package__ + ".child", folder / "order.json"],
            cwd=folder / "work",
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return read_record(run, record, log.read_text(errors="backslashreplace"), code)


def environment() -> dict[str, str]:
    """The caller's, without what would change how the child's interpreter works."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT)}


def read_record(run: Run, record: pathlib.Path, log: str, code: int) -> bool:
    running, ended = None, False
    for line in record.read_text().splitlines():
        entry = Outcome(**json.loads(line))
        if entry.status == "started":
            running = entry.test
        elif entry.status == "ended":
            running, ended, run.loops = None, True, int(entry.detail)
        else:
            run.add(entry)
    if ended and code == 0:
        return True
    status = "hung" if "Timeout (" in log else "crashed"
    # A module may also fail to load, or not let its interpreter end.
    where = running or f"{run.module} ({'interpreter exit' if ended else 'start'})"
    run.outcomes = [outcome for outcome in run.outcomes if outcome.test != where]
    run.add(Outcome(where, status, f"exit code {code}\n{log}"))
    return running is None
