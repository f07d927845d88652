"""Names and addresses: `getaddrinfo` and `getnameinfo`.

Looking up a name may block, so it happens in the executor. What is no lookup is answered at
once, in the words of the socket module itself: numeric addresses with numeric ports. libc reads
no file and asks no server for them, and its answer depends on nothing but the arguments, so it
is remembered. An IPv6 zone is not among these: its number changes with the interfaces.
"""

from __future__ import annotations

import _socket
import functools
import socket
import sys
from typing import Any

from weft.base import BaseEventLoop

__all__ = ["Names"]

# The socket module's own. A program may have put others in their place, a test for instance,
# before or after this module is imported: then those are asked.
_getaddrinfo = socket.getaddrinfo
_is_genuine = getattr(_getaddrinfo, "__globals__", None) is vars(socket)
_getnameinfo = _socket.getnameinfo

# The flags under which the answer depends on the arguments alone. AI_ADDRCONFIG looks at the
# interfaces, for example.
_PURE_FLAGS = socket.AI_PASSIVE | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
_ADDRESSES_REMEMBERED = 1024


# Typed, because 1 == True == 1.0, and libc refuses the last.
@functools.lru_cache(_ADDRESSES_REMEMBERED, typed=True)
def _literal(
    host: Any, port: Any, family: int, kind: int, proto: int, flags: int
) -> tuple[Any, ...] | None:
    """The answer for a numeric address, None for what must be looked up."""
    if flags & ~_PURE_FLAGS or not _is_numeric_port(port) or not _is_numeric_host(host):
        return None
    return tuple(_getaddrinfo(host, port, family, kind, proto, flags))


def _is_numeric_port(port: Any) -> bool:
    if isinstance(port, int):
        return 0 <= port <= 0xFFFF
    return port is None or (isinstance(port, str) and port.isascii() and port.isdigit())


def _is_numeric_host(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode("latin-1")
    if not isinstance(host, str):
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return True
    return False


class Names(BaseEventLoop):
    """The resolving half of `EventLoop`."""

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Resolve a host and a port, as `socket.getaddrinfo` does.

        A list of (family, type, proto, canonical name, address). Raises `socket.gaierror`.
        """
        # In debug mode asyncio logs how long each answer took.
        if socket.getaddrinfo is _getaddrinfo and _is_genuine and not self.get_debug():
            try:
                answer = _literal(host, port, family, type, proto, flags)
            except TypeError:
                answer = None  # Something unhashable: the executor's call raises.
            if answer is not None:
                sys.audit("socket.getaddrinfo", host, port, family, type, proto)
                return list(answer)
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: Any = 0) -> tuple[str, str]:
        """Name a socket address, as `socket.getnameinfo` does: (host, service).

        Raises `socket.gaierror`.
        """
        numeric = isinstance(flags, int) and flags & _NUMERIC == _NUMERIC
        if numeric and socket.getnameinfo is _getnameinfo:
            return _getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)
