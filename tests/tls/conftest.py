"""Every test of this room runs on asyncio, on weft's native TLS and on weft over memory BIOs."""

from __future__ import annotations

import pytest

ENGINES = ("native", "memorybio")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ENGINES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """asyncio has one engine: its second half is taken out."""

    def is_double(item: pytest.Item) -> bool:
        spec = getattr(item, "callspec", None)
        chosen = (spec.params.get("flavour"), spec.params.get("engine")) if spec else ()
        return chosen == ("asyncio", "native")

    doubles = [item for item in items if is_double(item)]
    if doubles:
        config.hook.pytest_deselected(items=doubles)
        items[:] = [item for item in items if not is_double(item)]


@pytest.fixture
def raw_loop_factory(raw_loop_factory, engine, monkeypatch):
    """Loops with the engine under test; `native` is an error where it is not possible."""
    monkeypatch.setenv("WEFT_TLS", engine)
    return raw_loop_factory


@pytest.fixture(autouse=True)
def _room(engine, ledger, loop_of_async_test) -> None:
    """Makes these fixtures part of each test."""
