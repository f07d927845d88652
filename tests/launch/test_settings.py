"""Settings made from keywords: the same names and checks as on the command line."""

from __future__ import annotations

import os
import pathlib

import pytest

from weft._core import Settings, parse_command_line


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WEFT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)


def test_keywords_have_the_types_of_their_options():
    settings = Settings(
        "main:app",
        port=0,
        access_log=False,
        app_dir=pathlib.Path("/srv"),
        timeout_graceful_shutdown=1.5,
        use_colors=None,
        lifespan="on",
    )
    assert (settings.app, settings.port, settings.access_log) == ("main:app", 0, False)
    assert (settings.app_dir, settings.timeout_graceful_shutdown) == ("/srv", 1.5)
    assert (settings.use_colors, settings.lifespan) == (None, "on")
    assert isinstance(settings.port, int)
    assert isinstance(settings.timeout_keep_alive, float)
    assert not settings.supervised


def test_keywords_and_command_line_mean_the_same():
    settings = Settings("main:app", port=80, workers=3, access_log=False, factory=True, host="::1")
    again = parse_command_line(settings.arguments)
    assert repr(again) == repr(settings)
    assert sorted(again.arguments) == sorted(settings.arguments)


def test_the_environment_counts_for_keywords_too(monkeypatch):
    monkeypatch.setenv("WEFT_PORT", "81")
    monkeypatch.setenv("WEFT_APP", "env:app")
    assert Settings().port == 81
    assert Settings().app == "env:app"
    assert Settings(port=82).port == 82


def test_a_wrong_keyword_is_a_type_error_with_a_suggestion():
    with pytest.raises(TypeError, match=r"^unknown option acces_log; did you mean access_log\?$"):
        Settings("main:app", acces_log=False)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"port": 65536}, 'port: "65536" is not a whole number from 0 to 65535'),
        ({"port": True}, 'port: "true" is not a whole number from 0 to 65535'),
        ({"workers": 1.5}, 'workers: "1.5" is not a whole number from 1 to 1024'),
        ({"access_log": "perhaps"}, 'access_log: "perhaps" is neither true nor false'),
        ({"lifespan": "of"}, 'lifespan: "of" is not one of auto, on, off; did you mean o'),
        ({"app": ""}, "no application given"),
    ],
)
def test_a_wrong_value_is_a_value_error_that_names_the_keyword(keywords, message):
    with pytest.raises(ValueError) as caught:
        Settings(**({"app": "main:app"} | keywords))
    assert str(caught.value).startswith(message)


def test_a_value_of_no_use_is_a_type_error():
    with pytest.raises(TypeError, match="host: a value of type list cannot be used"):
        Settings("main:app", host=["::1"])


def test_settings_are_read_only_and_documented():
    settings = Settings("main:app")
    with pytest.raises(AttributeError):
        settings.port = 1
    assert Settings.port.__doc__ == "Port to listen on; 0 is any free one"
    assert "port" in dir(settings)


def test_a_worker_knows_that_it_is_one(monkeypatch):
    monkeypatch.setenv("WEFT_WORKER", "parent=1;slot=0;sockets=3")
    assert Settings("main:app").supervised
