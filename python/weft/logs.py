"""The log: uvicorn's look and logger names, so that configurations written for it still fit.

It owns the loggers `uvicorn`, `uvicorn.error` and `uvicorn.access` as long as nobody else has
configured them. It must not know what is logged, except for the five parts of an access line.

An application's own `dictConfig` can name `weft.logs.DefaultFormatter`,
`weft.logs.AccessFormatter` and `weft.logs.AccessHandler`, with the same arguments and format
fields as uvicorn's (`levelprefix`; `client_addr`, `request_line`, `status_code`).
"""

from __future__ import annotations

import copy
import http
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weft._core import Settings

TRACE = 5
ROOT, ERROR, ACCESS = "uvicorn", "uvicorn.error", "uvicorn.access"
LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
DEFAULT_FORMAT = "%(levelprefix)s %(message)s"
ACCESS_FORMAT = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'

_BOLD = "1"
_LEVEL_COLORS = {
    TRACE: "34",
    logging.DEBUG: "36",
    logging.INFO: "32",
    logging.WARNING: "33",
    logging.ERROR: "31",
    logging.CRITICAL: "91",
}
_STATUS_COLORS = {1: "97", 2: "32", 3: "33", 4: "31", 5: "91"}


def configure(settings: Settings) -> None:
    """Give weft's loggers their handlers and levels, where nobody else has configured them.

    May be called again; the later settings then hold.
    """
    logging.addLevelName(TRACE, "TRACE")
    level = LEVELS[settings.log_level]
    root, error, access = (logging.getLogger(name) for name in (ROOT, ERROR, ACCESS))
    if _is_ours(root):
        use_colors = _wants_colors(settings, sys.stderr)
        default = logging.StreamHandler(sys.stderr)
        default.setFormatter(DefaultFormatter(DEFAULT_FORMAT, use_colors=use_colors))
        _take_over(root, default, level)
    if _is_ours(error):
        # Its lines go to the handler of `uvicorn`, or to that of the application.
        error.setLevel(level)
        _left_as[ERROR] = _state(error)
    if _is_ours(access):
        handler = None
        if settings.access_log:
            use_colors = _wants_colors(settings, sys.stdout)
            handler = AccessHandler(sys.stdout)
            handler.setFormatter(AccessFormatter(ACCESS_FORMAT, use_colors=use_colors))
        _take_over(access, handler, level)


def access_is_default(logger: logging.Logger) -> bool:
    """Whether a line of this logger can only end as weft's own line on its own stream.

    If so, the line may be formatted and written elsewhere, without a record: nobody would see
    a difference. Anything that the application has changed on the way makes it false, and so
    does a level that lets nothing through.
    """
    if len(logger.handlers) != 1 or logger.propagate or logger.filters:
        return False
    handler = logger.handlers[0]
    formatter = handler.formatter
    return (
        type(handler) is AccessHandler
        and not handler.filters
        and handler.level <= logging.INFO
        and type(formatter) is AccessFormatter
        and formatter._fmt == ACCESS_FORMAT
        and logger.isEnabledFor(logging.INFO)
        and type(logger) is logging.Logger
        and logging.getLogRecordFactory() is logging.LogRecord
    )


def announce(settings: Settings, fds: Sequence[int]) -> None:
    """Log where the service can be reached, once it can.

    A worker does not: its supervisor has said it for all.
    """
    logger = logging.getLogger(ERROR)
    message = "weft running on {} (Press CTRL+C to quit)"
    extra = {"color_message": message.format(_paint("%s", _BOLD))}
    for address in dict.fromkeys(_address(settings, fd) for fd in fds):
        logger.info(message.format("%s"), address, extra=extra)


class AccessHandler(logging.StreamHandler[TextIO]):
    """The handler of the access log; its type marks it as weft's own."""


class ColourizedFormatter(logging.Formatter):
    """Adds `levelprefix`, the level in a column of its own, and colours where they are wanted.

    With colours, a record's `color_message` stands in for its message.
    """

    stream_name = "stdout"

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        use_colors: bool | None = None,
    ) -> None:
        super().__init__(fmt, datefmt, style)
        if use_colors is None:
            use_colors = _can_show_colors(getattr(sys, self.stream_name))
        self.use_colors = use_colors

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the record with the fields that this formatter adds."""
        # Other handlers get the same record: theirs must stay without our fields.
        record = copy.copy(record)
        level = record.levelname
        gap = " " * (8 - len(level))
        if self.use_colors:
            level = _paint(level, _LEVEL_COLORS.get(record.levelno))
            if "color_message" in record.__dict__:
                record.msg = record.__dict__["color_message"]
                record.message = record.getMessage()
        record.__dict__["levelprefix"] = f"{level}:{gap}"
        self.add_fields(record)
        return super().formatMessage(record)

    def add_fields(self, record: logging.LogRecord) -> None:
        """Add further fields to a record that is this formatter's own."""


class DefaultFormatter(ColourizedFormatter):
    """The formatter of everything but requests."""

    stream_name = "stderr"


class AccessFormatter(ColourizedFormatter):
    """The formatter of the access log.

    Records carry `(client, method, path, http_version, status)` as their arguments.
    """

    def add_fields(self, record: logging.LogRecord) -> None:
        """Add `client_addr`, `request_line` and `status_code`."""
        match record.args:
            case (client, method, path, version, status):
                request_line = f"{method} {path} HTTP/{version}"
                if self.use_colors:
                    request_line = _paint(request_line, _BOLD)
                record.__dict__["client_addr"] = client
                record.__dict__["request_line"] = request_line
                record.__dict__["status_code"] = self._status(int(str(status)))
            case args:
                raise ValueError(
                    f"an access record has five arguments (client, method, path, http_version, "
                    f"status), not {args!r}"
                )

    def _status(self, status: int) -> str:
        try:
            text = f"{status} {http.HTTPStatus(status).phrase}"
        except ValueError:
            text = f"{status} "
        return _paint(text, _STATUS_COLORS.get(status // 100)) if self.use_colors else text


def _is_ours(logger: logging.Logger) -> bool:
    """Whether the logger is as logging makes it, or as `configure` left it."""
    return _state(logger) == _left_as.get(logger.name, _PRISTINE)


def _take_over(logger: logging.Logger, handler: logging.Handler | None, level: int) -> None:
    logger.handlers[:] = [] if handler is None else [handler]
    logger.propagate = False
    logger.setLevel(level)
    _left_as[logger.name] = _state(logger)


def _state(logger: logging.Logger) -> _State:
    return (logger.level, tuple(logger.handlers), logger.propagate, logger.disabled)


_State = tuple[int, tuple[logging.Handler, ...], bool, bool]
_PRISTINE: _State = (logging.NOTSET, (), True, False)
# Loggers are global to the process, and so is the memory of what was done to them.
_left_as: dict[str, _State] = {}


def _wants_colors(settings: Settings, stream: TextIO | None) -> bool:
    if settings.use_colors is None:
        return _can_show_colors(stream)
    return settings.use_colors


def _can_show_colors(stream: TextIO | None) -> bool:
    # https://no-color.org: any value but an empty one turns colours off.
    return stream is not None and not os.environ.get("NO_COLOR") and stream.isatty()


def _paint(text: str, code: str | None) -> str:
    return text if code is None else f"\x1b[{code}m{text}\x1b[0m"


def _address(settings: Settings, fd: int) -> str:
    """The address as a browser takes it, with the host that was asked for."""
    if settings.uds is not None:
        return f"unix socket {settings.uds}"
    with socket.socket(fileno=os.dup(fd)) as listener:
        port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"
