"""The forms an application may have, and the one that is gone."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("app", "options", "answer"),
    [
        ("function", [], b"function"),
        ("instance", [], b"instance"),
        ("method", [], b"method"),
        ("partial", [], b"partial"),
        ("plain", [], b"plain"),
        ("lambda_", [], b"lambda"),
        ("keywords", [], b"keywords"),
        ("Awaitable", [], b"class"),
        ("nested.inner", [], b"nested"),
        ("make", ["--factory"], b"made"),
        ("make", [], b"made"),
    ],
)
def test_whatever_can_be_called_with_three_arguments_is_served(run, app, options, answer):
    with run(f"kinds:{app}", *options) as service:
        for _ in range(3):
            assert service.ask("/").body == answer
        assert service.terminate() == 0


def test_an_application_of_asgi_2_does_not_hang(run):
    """It is called with three arguments, which it does not take."""
    with run("kinds:old", "--lifespan", "off") as service:
        assert service.ask("/").status == 500
        service.said("TypeError: .*positional argument.*")
