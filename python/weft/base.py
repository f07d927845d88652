"""`asyncio.BaseEventLoop`, with the hooks that typeshed does not declare.

weft's loop fills and calls these private hooks as asyncio's own loops do; they are the same
in CPython 3.11 to 3.14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket
    from typing import Any

    class BaseEventLoop(asyncio.BaseEventLoop):
        """The private half, typed."""

        def _check_closed(self) -> None: ...
        def _check_running(self) -> None: ...
        def _set_background(self, count: int) -> None: ...
        async def _ensure_resolved(
            self, address: Any, *, loop: object, **kinds: int
        ) -> list[tuple[int, int, int, str, Any]]: ...
        async def _connect_sock(self, *args: Any, **kwargs: Any) -> socket.socket: ...
        async def _create_connection_transport(
            self, sock: socket.socket, *args: Any, **kwargs: Any
        ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]: ...

else:
    from asyncio import BaseEventLoop

__all__ = ["BaseEventLoop"]
