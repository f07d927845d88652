"""Every test of this room runs on each loop and under the leak ledger, with its services there."""

from __future__ import annotations

import asyncio

import pytest

from tests.ecosystem.services import require


@pytest.fixture(autouse=True)
def _room(request, ledger, loop_of_async_test) -> None:
    """Makes both fixtures part of each test; looks for the services that the test names."""
    for marker in request.node.iter_markers("service"):
        require(marker.args[0])


@pytest.fixture
def run_anyio(raw_loop_factory):
    """`anyio.run` on the loop under test: it makes, runs and closes the loop."""
    import anyio

    def run(main, *args):
        async def checked():
            assert type(asyncio.get_running_loop()) is type(sample)
            return await main(*args)

        sample = raw_loop_factory()
        sample.close()
        options = {"loop_factory": raw_loop_factory}
        return anyio.run(checked, backend="asyncio", backend_options=options)

    return run
