"""How each server is started: one worker process, its fastest loop and parser, log on or off.

All servers write their access log to standard output, which is the same kind of file for all.
Whatever costs time and another server does not do is switched off (uvicorn's proxy headers,
hypercorn's and granian's other protocols); what HTTP asks for (Date, Server) stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..support.machine import OVERLAYS, version_of

# Application, port, access log, and whether WebSockets are what is measured.
Command = Callable[[str, int, bool, bool], list[str]]


@dataclass(frozen=True)
class Peer:
    """One server in one set-up; `family` groups the set-ups of one product for the ratios."""

    name: str
    family: str
    packages: tuple[str, ...]
    command: Command
    default: bool = True
    overlay: str = ""

    def missing(self) -> str | None:
        """What is not installed, or None when the peer can run."""
        if self.overlay and not OVERLAYS[self.overlay].is_dir():
            return f"{self.overlay} not installed"
        absent = [package for package in self.packages if version_of(package) is None]
        return f"{', '.join(absent)} not installed" if absent else None


def _weft(app: str, port: int, log: bool, sockets: bool) -> list[str]:
    return _uvicorn_like("weft", app, port, log)


def _uvicorn_like(module: str, app: str, port: int, log: bool) -> list[str]:
    place = ["--host", "127.0.0.1", "--port", str(port)]
    access = "--access-log" if log else "--no-access-log"
    return [sys.executable, "-m", module, app, *place, access]


def _uvicorn(loop: str, http: str = "httptools", ws: str = "websockets-sansio") -> Command:
    def command(app: str, port: int, log: bool, sockets: bool) -> list[str]:
        # Without --ws none, uvicorn imports a WebSocket library: memory, but no time a request.
        fast = ["--no-proxy-headers", "--ws", ws if sockets else "none"]
        kind = ["--loop", loop, "--http", http]
        return [*_uvicorn_like("uvicorn", app, port, log), *kind, *fast]

    return command


def _granian(loop: str, mode: str) -> Command:
    def command(app: str, port: int, log: bool, sockets: bool) -> list[str]:
        place = ["--host", "127.0.0.1", "--port", str(port)]
        fast = ["--interface", "asgi", "--workers", "1", "--http", "1"]
        fast.append("--ws" if sockets else "--no-ws")
        kind = ["--loop", loop, "--runtime-mode", mode, "--runtime-threads", "1"]
        access = "--access-log" if log else "--no-access-log"
        return [sys.executable, "-m", "granian", *place, *fast, *kind, access, app]

    return command


def _gunicorn(parser: str) -> Command:
    def command(app: str, port: int, log: bool, sockets: bool) -> list[str]:
        place = ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
        kind = ["--worker-class", "asgi", "--workers", "1", "--asgi-loop", "uvloop"]
        fast = ["--http-parser", parser]
        access = ["--access-logfile", "-"] if log else []
        return [sys.executable, "-m", "gunicorn", *place, *kind, *fast, *access, app]

    return command


def _hypercorn(app: str, port: int, log: bool, sockets: bool) -> list[str]:
    place = ["--bind", f"127.0.0.1:{port}"]
    kind = ["--worker-class", "uvloop", "--workers", "1"]
    access = ["--access-logfile", "-"] if log else []
    return [sys.executable, "-m", "hypercorn", *place, *kind, *access, app]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("weft", "weft", ("weft",), _weft),
        Peer("uvicorn", "uvicorn", ("uvicorn", "httptools", "uvloop"), _uvicorn("uvloop")),
        # uvloop 0.22 gathers the writes of a turn into one system call, 0.23 does not: under
        # uvicorn, which writes head and body apart, the older version is the faster one.
        Peer(
            "uvicorn-uvloop022",
            "uvicorn",
            ("uvicorn", "httptools"),
            _uvicorn("uvloop"),
            overlay="uvloop-0.22",
        ),
        Peer("granian-uvloop", "granian", ("granian", "uvloop"), _granian("uvloop", "mt")),
        Peer("granian-rloop", "granian", ("granian", "rloop"), _granian("rloop", "mt")),
        Peer(
            "gunicorn",
            "gunicorn",
            ("gunicorn", "gunicorn_h1c"),
            _gunicorn("fast"),
            overlay="uvloop-0.22",
        ),
        Peer("hypercorn", "hypercorn", ("hypercorn",), _hypercorn, overlay="uvloop-0.22"),
        # Other set-ups, run when they are named: to check that the fastest one was chosen.
        Peer(
            "granian-uvloop-st",
            "granian",
            ("granian", "uvloop"),
            _granian("uvloop", "st"),
            default=False,
        ),
        Peer(
            "granian-rloop-st",
            "granian",
            ("granian", "rloop"),
            _granian("rloop", "st"),
            default=False,
        ),
        Peer(
            "gunicorn-plain",
            "gunicorn",
            ("gunicorn", "uvloop"),
            _gunicorn("python"),
            default=False,
        ),
        Peer(
            "hypercorn-uvloop023",
            "hypercorn",
            ("hypercorn", "uvloop"),
            _hypercorn,
            default=False,
        ),
        Peer(
            "uvicorn-rloop",
            "uvicorn",
            ("uvicorn", "httptools", "rloop"),
            _uvicorn("rloop:new_event_loop"),
            default=False,
        ),
        Peer(
            "uvicorn-zttp",
            "uvicorn",
            ("uvicorn", "zttp", "uvloop"),
            _uvicorn("uvloop", "zttp"),
            default=False,
        ),
        Peer(
            "uvicorn-wsproto",
            "uvicorn",
            ("uvicorn", "httptools", "uvloop", "wsproto"),
            _uvicorn("uvloop", ws="wsproto"),
            default=False,
        ),
        # The WebSocket side of `--ws auto`.
        Peer(
            "uvicorn-websockets",
            "uvicorn",
            ("uvicorn", "httptools", "uvloop", "websockets"),
            _uvicorn("uvloop", ws="websockets"),
            default=False,
        ),
        # uvicorn once more: how far two equal servers come out apart is the noise of a run.
        Peer(
            "uvicorn-twin",
            "uvicorn-twin",
            ("uvicorn", "httptools", "uvloop"),
            _uvicorn("uvloop"),
            default=False,
        ),
        # weft's loop under uvicorn's server: what the loop alone gains.
        Peer(
            "uvicorn-weft",
            "uvicorn-weft",
            ("uvicorn", "httptools", "weft"),
            _uvicorn("weft:new_event_loop"),
            default=False,
        ),
    )
}

DEFAULT_PEERS = [peer.name for peer in PEERS.values() if peer.default]
QUICK_PEERS = ["weft", "uvicorn"]
