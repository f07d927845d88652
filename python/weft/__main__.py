"""The command `weft`: from the words of a command line to a running service.

It owns the order of things: settings, log, sockets, then one server or a supervisor. It must
not know what options there are (the table in `crates/supervisor` does), nor import the
application: only a process that serves does that.
"""

from __future__ import annotations

import logging
import os
import sys

from weft import _core, logs

STARTUP, INTERRUPTED = 3, 130


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    try:
        return run(_core.parse_command_line(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        # Ctrl-C before the server listens to signals, in the middle of an import for instance.
        return INTERRUPTED


def run(settings: _core.Settings) -> int:
    """Serve until a signal; the exit code.

    A service that cannot start is logged, and is 3.
    """
    logs.configure(settings)
    try:
        inherited = _core.take_worker_sockets()
        if inherited is not None:
            return _serve(settings, inherited)
        return _serve_own_sockets(settings)
    except _core.StartupError as error:
        logger = logging.getLogger(logs.ERROR)
        # The application's own traceback first: the last line is the one that is read.
        for text in (*getattr(error, "__notes__", ()), str(error)):
            logger.error("%s", text)
        return STARTUP


def _serve_own_sockets(settings: _core.Settings) -> int:
    fds = _core.bind(settings)
    try:
        if settings.workers == 1:
            return _serve(settings, fds)
        try:
            logs.announce(settings, fds)
            return _core.supervise(settings, fds)
        finally:
            for fd in fds:
                os.close(fd)
    finally:
        _core.remove_socket_file(settings)


def _serve(settings: _core.Settings, fds: list[int]) -> int:
    """Serve in this process; the server closes the sockets."""
    for name, value in settings.env_file_variables:
        os.environ.setdefault(name, value)
    # Late: a supervisor has no use for a server, and a mistake in an option none for either.
    from weft import server

    return server.run(settings, fds)


if __name__ == "__main__":
    sys.exit(main())
