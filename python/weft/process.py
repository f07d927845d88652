"""One process, from its settings to its exit code: guard, log, sockets, server or supervisor.

The command and `weft.serve` both come through here. It must not know what options there are,
nor import the application: only a process that serves does that.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from weft import _core, importer, logs

__all__ = ["STARTUP", "run", "serve"]

STARTUP = 3


def serve(app: Any, **options: Any) -> int:
    """Serve an application until a signal; see `weft.serve`."""
    if isinstance(app, str):
        settings = _core.Settings(app, **options)
        code = run(settings)
    else:
        settings = _core.Settings(f"{type(app).__module__}:{type(app).__name__}", **options)
        if settings.workers > 1:
            raise ValueError(
                "several workers need the application's name, as in "
                'serve("main:app", workers=2): an object cannot be handed to another process'
            )
        code = run(settings, app)
    if code == STARTUP:
        # As the command does it: the line has been said, and a traceback would bury it.
        sys.exit(code)
    return code


def run(settings: _core.Settings, app: Any = None) -> int:
    """Serve until a signal; the exit code.

    A service that cannot start is logged, and is 3.
    """
    logs.configure(settings)
    try:
        importer.refuse_during_import()
        inherited = _core.take_worker_sockets()
        if inherited is not None:
            return _serve(settings, inherited, app)
        return _serve_own_sockets(settings, app)
    except _core.StartupError as error:
        logger = logging.getLogger(logs.ERROR)
        # The application's own traceback first: the last line is the one that is read.
        for text in (*getattr(error, "__notes__", ()), str(error)):
            logger.error("%s", text)
        return STARTUP


def _serve_own_sockets(settings: _core.Settings, app: Any) -> int:
    fds = _core.bind(settings)
    try:
        if settings.workers == 1:
            return _serve(settings, fds, app)
        try:
            logs.announce(settings, fds)
            return _core.supervise(settings, fds)
        finally:
            for fd in fds:
                os.close(fd)
    finally:
        _core.remove_socket_file(settings)


def _serve(settings: _core.Settings, fds: list[int], app: Any) -> int:
    """Serve in this process; the server closes the sockets."""
    for name, value in settings.env_file_variables:
        os.environ.setdefault(name, value)
    # Late: a supervisor has no use for a server, and a mistake in an option none for either.
    from weft import server

    return server.run(settings, fds, app)
