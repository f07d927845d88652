"""One test for each module of the interpreter's own `test.test_asyncio`, run on weft's loop.

`make conformance` prints the same as a table.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterator

import pytest

from tests.conformance import suite
from tests.conformance.verdict import complaints, listed

# The longest takes ten seconds alone; hangs are the runner's own business.
pytestmark = pytest.mark.limit(600)
MODULES = suite.modules()
ABSENT = "test.test_asyncio"


@pytest.fixture(scope="session")
def run_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str], suite.Run]]:
    """Gives the run of a module; two at a time are under way, in the order of the tests."""
    wanted = [
        item.callspec.params["module"]
        for item in request.session.items
        if getattr(item, "originalname", None) == test_a_module_passes.__name__
        and item.callspec.params["module"] != ABSENT
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {module: pool.submit(suite.run_module, module) for module in wanted}
        yield lambda module: runs[module].result()
        for run in runs.values():
            run.cancel()


@pytest.mark.parametrize("module", MODULES or [ABSENT])
def test_a_module_passes(run_of, module):
    if module == ABSENT:
        # Where the suite must be, its absence is a failure.
        (pytest.fail if "CI" in os.environ else pytest.skip)(suite.HOW_TO_GET_IT)
    found = complaints(run_of(module), listed())
    if found:
        pytest.fail("\n\n".join(found), pytrace=False)
