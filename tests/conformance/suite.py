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
PACKAGE = "test.test_asyncio"
LIMIT = 60.0
# So many hung or crashed tests are got past; a module with more is given up.
MOST_PROCESSES = 6

HOW_TO_GET_IT = (
    "this interpreter comes without test.test_asyncio: install libpython3-testsuite (Debian), "
    "or take a build of python.org or pyenv"
)

# Modules about another loop; all others that the interpreter has are run.
LEFT_OUT = {
    "test_proactor_events": "the loop of Windows",
    "test_selector_events": "the inside of asyncio's own selector loop",
    "test_windows_events": "the loop of Windows",
    "test_windows_utils": "Windows",
}


SEVERITY = ("skipped", "passed", "failed", "crashed", "hung")


@dataclasses.dataclass
class Outcome:
    """How one test ended, in a word of SEVERITY, and why."""

    test: str
    status: str
    detail: str


@dataclasses.dataclass
class Run:
    """What became of one module."""

    module: str
    loop: str = "weft"
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    loops: int = 0
    """How many loops of weft the tests have made."""

    def add(self, outcome: Outcome) -> None:
        """A test may end in several parts: the first of the worst outcomes stays."""
        known = next((known for known in self.outcomes if known.test == outcome.test), None)
        if known is None:
            self.outcomes.append(outcome)
        elif SEVERITY.index(outcome.status) > SEVERITY.index(known.status):
            known.status, known.detail = outcome.status, outcome.detail

    def count(self, *statuses: str) -> int:
        return sum(outcome.status in statuses for outcome in self.outcomes)


def modules() -> list[str]:
    """The modules of this interpreter's suite that are run; none if it comes without."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:
        spec = None
    folders = (spec and spec.submodule_search_locations) or ()
    found = {path.stem for folder in folders for path in pathlib.Path(folder).glob("test_*.py")}
    return sorted(found - LEFT_OUT.keys())


def run_module(
    module: str, *, loop: str = "weft", limit: float = LIMIT, package: str = PACKAGE
) -> Run:
    """Run a module; again without the tests that hung or ended the process, if there are any."""
    run = Run(module, loop)
    for _ in range(MOST_PROCESSES):
        without = [outcome.test for outcome in run.outcomes]
        order = Order(package, module, loop, limit, without=without)
        with tempfile.TemporaryDirectory(prefix="weft-conformance-") as folder:
            if not run_process(run, order, pathlib.Path(folder)):
                break
    return run


def run_process(run: Run, order: Order, folder: pathlib.Path) -> bool:
    """One process: what it did is added to the run. Whether another is needed after it."""
    files = {name: folder / name for name in ("order", "record", "log")}
    work = folder / "work"
    work.mkdir()
    order.record = str(files["record"])
    files["record"].touch()
    files["order"].write_text(json.dumps(dataclasses.asdict(order)))
    with files["log"].open("w") as log:
        code = subprocess.call(
            [sys.executable, "-W", "default", "-m", "tests.conformance.child", files["order"]],
            cwd=work,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    died_in = read_record(run, files["record"])
    if code == 0 and died_in is None:
        return False
    log_text = files["log"].read_text(errors="backslashreplace")
    # faulthandler's word for a limit that is over.
    status = "hung" if "Timeout (" in log_text else "crashed"
    where = f"{run.module} as a whole" if died_in is None else died_in
    run.add(Outcome(where, status, f"exit code {code}\n{log_text}"))
    return died_in is not None


def environment() -> dict[str, str]:
    """The caller's, without what would change how the child's interpreter works."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT)}


def read_record(run: Run, record: pathlib.Path) -> str | None:
    """Adds what a process has written down. The test that it died in or after, if it did."""
    running = None
    for line in record.read_text().splitlines():
        entry = Outcome(**json.loads(line))
        if entry.status == "started":
            running = entry.test
        elif entry.status == "ended":
            running, run.loops = None, int(entry.detail)
        else:
            run.add(entry)
    return running
