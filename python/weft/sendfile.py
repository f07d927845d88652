"""`loop.sendfile` and `loop.sock_sendfile`: files sent by the kernel.

`BaseEventLoop` has the argument policy and the fall-back that reads and writes. The loop around
`os.sendfile` is the interpreter's own, from its loop for Unix; it needs `add_writer` alone.
"""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING

from weft import _core
from weft.base import BaseEventLoop


class Sendfile(BaseEventLoop):
    """The sendfile half of `EventLoop`."""

    if not TYPE_CHECKING:
        _sock_sendfile_native = asyncio.SelectorEventLoop._sock_sendfile_native
        _sock_sendfile_native_impl = asyncio.SelectorEventLoop._sock_sendfile_native_impl
        _sock_sendfile_update_filepos = asyncio.SelectorEventLoop._sock_sendfile_update_filepos
        _sock_add_cancellation_callback = asyncio.SelectorEventLoop._sock_add_cancellation_callback

    async def _sendfile_native(
        self, transport: _core.SocketTransport, file: IO[bytes], offset: int, count: int | None
    ) -> int:
        # Outside: a call that is refused must not end the one under way.
        turn = transport._begin_sendfile()
        try:
            await turn
            sock = transport.get_extra_info("socket")
            if sock.fileno() == -1:
                raise ConnectionAbortedError("the connection was lost before sendfile")
            # epoll watches a descriptor once, and the transport watches its own: a second one
            # of the same connection can wait for room by itself.
            with sock.dup() as lent:
                return await self.sock_sendfile(lent, file, offset, count, fallback=False)
        except asyncio.SendfileNotAvailableError:
            if transport.is_closing():
                # Not the file's fault, so there is nothing to fall back to.
                raise ConnectionAbortedError("the connection was lost during sendfile") from None
            raise
        finally:
            transport._end_sendfile()
