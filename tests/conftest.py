"""Options, limits and fixtures for all test rooms.

`--loop asyncio|weft|both` (or the variable WEFT_TEST_LOOP) chooses the loops that behaviour tests
run on. The default is both, and then a weft that cannot be imported is an error, never a skip.
"""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support import loops, net, watchdog  # noqa: E402 - after the rewrite hook
from tests.support.ledger import Ledger  # noqa: E402

WATCHDOG = pytest.StashKey[watchdog.Watchdog]()
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop",
        choices=[*loops.FLAVOURS, "both"],
        default=os.environ.get("WEFT_TEST_LOOP", "both"),
        help="event loops that behaviour tests run on (default: both)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--loop") not in (*loops.FLAVOURS, "both"):
        raise pytest.UsageError("WEFT_TEST_LOOP must be asyncio, weft or both")
    config.addinivalue_line("filterwarnings", "error")
    config.addinivalue_line("markers", "limit(seconds): the watchdog's limit for this test")
    config.addinivalue_line("markers", "service(name): talks to a service at 127.0.0.1")
    config.addinivalue_line("markers", "weft_only(reason): asyncio is known to differ")
    config.stash[WATCHDOG] = watchdog.Watchdog()


def pytest_unconfigure(config: pytest.Config) -> None:
    if (dog := config.stash.get(WATCHDOG, None)) is not None:
        dog.close()


# which tests run on which loop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flavour" in metafunc.fixturenames:
        metafunc.parametrize("flavour", loops.chosen(metafunc.config.getoption("--loop")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the asyncio half of weft-only tests out."""

    def is_foreign(item: pytest.Item) -> bool:
        spec = getattr(item, "callspec", None)
        flavour = spec.params.get("flavour") if spec else None
        return flavour == "asyncio" and item.get_closest_marker("weft_only") is not None

    foreign = [item for item in items if is_foreign(item)]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if not is_foreign(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """An `async def` test of a parametrised room runs on the loop under test."""
    if pyfuncitem.funcargs.get("loop_of_async_test") is None:
        return None
    loop = pyfuncitem.funcargs["loop_of_async_test"]
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    loop.run_until_complete(pyfuncitem.obj(**arguments))
    return True


# limits


def limit_of(item: pytest.Item) -> float:
    """Tests of a loop are quick; those of other rooms may start programs or compilers."""
    if marker := item.get_closest_marker("limit"):
        return marker.args[0]
    on_a_loop = "flavour" in getattr(item, "fixturenames", ())
    return watchdog.LOOP_LIMIT if on_a_loop else watchdog.OTHER_LIMIT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    with item.config.stash[WATCHDOG].whole_test(limit_of(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    with item.config.stash[WATCHDOG].phase(limit_of(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item):
    with item.config.stash[WATCHDOG].phase(limit_of(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.when in ("setup", "call"):
        item.stash[FAILED] = item.stash.get(FAILED, False) or not report.passed
    return report


# fixtures


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Settles what the test owes, after all its other fixtures are gone."""
    if "flavour" in request.fixturenames:
        loops.warm_up(request.getfixturevalue("flavour"))
    account = Ledger()
    account.open()
    yield account
    if request.node.stash.get(FAILED, False):
        account.put_back()
        return
    request.node.funcargs.clear()  # pytest still holds the loop here
    owed = account.settle()
    assert not owed, "the test leaves something behind:\n" + "\n".join(owed)


@pytest.fixture
def raw_loop_factory(flavour: str) -> loops.LoopFactory:
    """Makes loops of the flavour under test, and nothing else; the test closes them."""
    return loops.factory_of(flavour)


@pytest.fixture
def loop_factory(raw_loop_factory, ledger: Ledger, request: pytest.FixtureRequest):
    """Makes loops whose error reports go to the ledger; the test closes them."""
    made: list[weakref.ref] = []

    def create():
        loop = raw_loop_factory()
        loop.set_exception_handler(ledger.record_loop_error)
        made.append(weakref.ref(loop))
        return loop

    yield create
    left = [loop for ref in made if (loop := ref()) is not None and not loop.is_closed()]
    for loop in left:
        loops.finish(loop)
    if left and not request.node.stash.get(FAILED, False):
        pytest.fail(f"loops left open: {left}")


@pytest.fixture
def loop(raw_loop_factory, ledger: Ledger):
    """A loop under test, not running; an `async def` test runs on it."""
    loop = raw_loop_factory()
    loop.set_exception_handler(ledger.record_loop_error)
    yield loop
    loops.finish(loop)


@pytest.fixture
def loop_of_async_test(request: pytest.FixtureRequest, flavour: str, ledger: Ledger):
    """What `async def` tests run on; rooms of behaviour tests make it part of each test."""
    if inspect.iscoroutinefunction(request.function):
        return request.getfixturevalue("loop")
    return None


@pytest.fixture
def free_port() -> int:
    return net.free_port()
