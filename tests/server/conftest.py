"""Servers that the tests of a file share, one process for each application and file."""

from __future__ import annotations

import contextlib
import functools
import pathlib
from collections.abc import Callable, Iterator

import pytest

from tests.server.service import Service, serving


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Start a server that serves until the file's last test, and is then looked at."""
    with contextlib.ExitStack() as stack:

        def start(app: str, *options: str, errors_are_wanted: bool = False) -> Service:
            directory = tmp_path_factory.mktemp("service")
            context = serving(
                app, *options, directory=directory, errors_are_wanted=errors_are_wanted
            )
            return stack.enter_context(context)

        yield start


@pytest.fixture(scope="module")
def probe(serve: Callable[..., Service]) -> Service:
    """The application that answers with what it was asked."""
    return serve("probe:app")


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Callable[..., Service]:
    """A server of the test's own, to be used as a context manager."""
    return functools.partial(Service, directory=tmp_path)
