"""The look of the log, and the respect for what an application has configured."""

from __future__ import annotations

import io
import logging
import logging.config
import os
import sys

import pytest

from weft import logs
from weft._core import Settings, bind

NAMES = (logs.ROOT, logs.ERROR, logs.ACCESS)


@pytest.fixture(autouse=True)
def pristine_loggers(monkeypatch):
    """Loggers as logging makes them, before and after."""
    monkeypatch.setattr(logs, "_left_as", {})
    monkeypatch.delenv("NO_COLOR", raising=False)

    def reset():
        for name in NAMES:
            logger = logging.getLogger(name)
            logger.handlers[:] = []
            logger.filters[:] = []
            logger.propagate, logger.disabled = True, False
            logger.setLevel(logging.NOTSET)

    reset()
    yield
    reset()


def settings(**keywords):
    return Settings("main:app", **keywords)


def log_request(path="/", status=200):
    logging.getLogger(logs.ACCESS).info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5000", "GET", path, "1.1", status
    )


def test_messages_go_to_stderr_and_requests_to_stdout(capsys):
    logs.configure(settings())
    logging.getLogger(logs.ERROR).info("started")
    logging.getLogger(logs.ERROR).warning("careful")
    log_request()
    captured = capsys.readouterr()
    assert captured.err == "INFO:     started\nWARNING:  careful\n"
    assert captured.out == 'INFO:     127.0.0.1:5000 - "GET / HTTP/1.1" 200 OK\n'


def test_colours_are_those_of_uvicorn(capsys):
    logs.configure(settings(use_colors=True))
    logging.getLogger(logs.ERROR).error("plain %s", 1, extra={"color_message": "coloured %s"})
    log_request(status=404)
    captured = capsys.readouterr()
    assert captured.err == "\x1b[31mERROR\x1b[0m:    coloured 1\n"
    assert captured.out == (
        '\x1b[32mINFO\x1b[0m:     127.0.0.1:5000 - "\x1b[1mGET / HTTP/1.1\x1b[0m" '
        "\x1b[31m404 Not Found\x1b[0m\n"
    )


def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert logs.DefaultFormatter().use_colors
    assert not logs.AccessFormatter().use_colors, "each formatter asks its own stream"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not logs.DefaultFormatter().use_colors
    assert logs.DefaultFormatter(use_colors=True).use_colors


def test_the_level_is_that_of_the_settings(capsys):
    logs.configure(settings(log_level="trace"))
    logging.getLogger(logs.ERROR).log(logs.TRACE, "deep")
    logs.configure(settings(log_level="error"))
    logging.getLogger(logs.ERROR).warning("not shown")
    log_request()
    captured = capsys.readouterr()
    assert captured.err == "TRACE:    deep\n"
    assert captured.out == ""


def test_an_unknown_status_has_no_phrase(capsys):
    logs.configure(settings())
    log_request(status=299)
    assert capsys.readouterr().out.endswith('HTTP/1.1" 299 \n')


def test_the_access_log_can_be_turned_off_and_on_again(capsys):
    logs.configure(settings(access_log=False))
    log_request()
    logs.configure(settings())
    log_request("/again")
    assert capsys.readouterr().out.count("GET") == 1


def test_what_an_application_has_configured_is_left_alone(capsys):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"bare": {"format": "bare %(message)s"}},
            "handlers": {"bare": {"class": "logging.StreamHandler", "formatter": "bare"}},
            "loggers": {"uvicorn": {"handlers": ["bare"], "level": "WARNING", "propagate": False}},
        }
    )
    logs.configure(settings())
    root = logging.getLogger(logs.ROOT)
    assert root.level == logging.WARNING
    assert [type(handler) for handler in root.handlers] == [logging.StreamHandler]
    logging.getLogger(logs.ERROR).warning("kept")
    assert capsys.readouterr().err == "bare kept\n"
    assert logs.access_is_default(logging.getLogger(logs.ACCESS)), "that one was not touched"


def test_a_configuration_made_after_ours_is_left_alone_too():
    logs.configure(settings())
    access = logging.getLogger(logs.ACCESS)
    access.setLevel(logging.ERROR)
    logs.configure(settings(log_level="debug"))
    assert access.level == logging.ERROR


def test_formatters_and_handler_fit_into_a_configuration_of_the_users(capsys):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "mine": {
                    "()": "weft.logs.AccessFormatter",
                    "fmt": "%(client_addr)s|%(request_line)s|%(status_code)s|%(levelprefix)s",
                    "use_colors": False,
                }
            },
            "handlers": {
                "mine": {
                    "class": "weft.logs.AccessHandler",
                    "formatter": "mine",
                    "stream": "ext://sys.stdout",
                }
            },
            "loggers": {logs.ACCESS: {"handlers": ["mine"], "level": "INFO", "propagate": False}},
        }
    )
    log_request()
    assert capsys.readouterr().out == "127.0.0.1:5000|GET / HTTP/1.1|200 OK|INFO:    \n"
    assert not logs.access_is_default(logging.getLogger(logs.ACCESS)), "another format"


def test_the_access_log_is_default_only_while_nobody_can_see_the_records():
    access = logging.getLogger(logs.ACCESS)
    assert not logs.access_is_default(access), "not configured yet"
    logs.configure(settings())
    assert logs.access_is_default(access)

    changes = [
        lambda: access.addHandler(logging.NullHandler()),
        lambda: access.addFilter(lambda record: True),
        lambda: access.handlers[0].addFilter(lambda record: True),
        lambda: access.handlers[0].setFormatter(logging.Formatter()),
        lambda: access.handlers[0].setLevel(logging.ERROR),
        lambda: access.setLevel(logging.WARNING),
        lambda: setattr(access, "propagate", True),
    ]
    for change in changes:
        access.filters[:] = []
        logs._left_as[logs.ACCESS] = logs._state(access)  # ours again, whatever was done to it
        logs.configure(settings())
        assert logs.access_is_default(access)
        change()
        assert not logs.access_is_default(access)


def test_other_handlers_see_the_record_as_it_was_logged():
    logs.configure(settings())
    seen = []

    class Keeper(logging.Handler):
        def emit(self, record):
            seen.append(dict(record.__dict__))

    access = logging.getLogger(logs.ACCESS)
    access.addHandler(Keeper())
    log_request()
    assert "levelprefix" not in seen[0]
    assert seen[0]["args"] == ("127.0.0.1:5000", "GET", "/", "1.1", 200)


def test_the_address_is_announced_with_the_port_that_was_found(capsys):
    asked = settings(port=0)
    fds = bind(asked)
    try:
        logs.configure(asked)
        logs.announce(asked, fds * 2)
        err = capsys.readouterr().err
    finally:
        for fd in fds:
            os.close(fd)
    assert err.startswith("INFO:     weft running on http://127.0.0.1:")
    assert err.endswith(" (Press CTRL+C to quit)\n")
    assert ":0 " not in err
    assert err.count("\n") == 1
