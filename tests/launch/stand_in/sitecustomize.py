"""Puts a stand-in in the place of `weft.server`; imported by every interpreter that finds it.

It does what the launch room relies on: load the application, run it, return an exit code. Its
"application" gets the settings and the sockets, and is itself the server.
"""

import sys
import types


def run(settings, fds, app=None):
    from weft.importer import load_app

    app = app or load_app(settings.app, factory=settings.factory, app_dir=settings.app_dir)
    return app(settings, fds)


module = types.ModuleType("weft.server")
module.run = run
sys.modules["weft.server"] = module
