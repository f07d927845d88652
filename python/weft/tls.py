"""TLS connections: which engine drives them, and the protocol between transport and application.

The native engine (`weft._core.TlsProtocol`) drives the interpreter's own OpenSSL over the session
that the user's `ssl.SSLContext` makes. Where that is not possible, asyncio's `SSLProtocol` does
the same over memory BIOs. This module must not know sockets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from asyncio import constants, sslproto
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from weft import _core

if TYPE_CHECKING:
    from weft.event_loop import EventLoop

__all__ = ["Engine", "chosen_engine", "make_protocol", "upgrade"]

Engine: TypeAlias = Literal["auto", "native", "memorybio"]
TlsProtocol: TypeAlias = _core.TlsProtocol | sslproto.SSLProtocol

# typeshed knows less of these two than asyncio's own loops use.
_MemoryBioProtocol: Callable[..., sslproto.SSLProtocol] = sslproto.SSLProtocol
_default_context: Callable[..., ssl.SSLContext] = sslproto._create_transport_context

logger = logging.getLogger("weft.tls")


def chosen_engine() -> Engine:
    """What `WEFT_TLS` asks for: `native`, `memorybio`, or `auto`, which is native if possible.

    Another value is a `ValueError`.
    """
    engine = os.environ.get("WEFT_TLS") or "auto"
    if engine not in ("auto", "native", "memorybio"):
        raise ValueError(f"WEFT_TLS must be native, memorybio or auto, not {engine!r}")
    return cast(Engine, engine)


def make_protocol(
    loop: EventLoop,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl.SSLContext | None,
    waiter: asyncio.Future[Any] | None,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    call_connection_made: bool = True,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> TlsProtocol:
    """The TLS protocol for a transport; its `_app_transport` is the one for `protocol`.

    Times are in seconds; what is not positive is a `ValueError`.
    """
    options = {
        "call_connection_made": call_connection_made,
        "ssl_handshake_timeout": ssl_handshake_timeout,
        "ssl_shutdown_timeout": ssl_shutdown_timeout,
    }
    if _is_native(chosen_engine()) and getattr(sslcontext, "_msg_callback", None) is None:
        for name in ("ssl_handshake_timeout", "ssl_shutdown_timeout"):
            limit = options[name]
            if limit is None:
                options[name] = getattr(constants, name.upper())
            elif limit <= 0:
                raise ValueError(f"{name} should be a positive number, got {limit}")
        if not sslcontext:
            sslcontext = _default_context(server_side, server_hostname)
        bios = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = None if server_side else server_hostname or None
        session = sslcontext.wrap_bio(*bios, server_side=server_side, server_hostname=peer)
        if _reads_and_writes_itself(session):
            return _core.TlsProtocol(
                loop, protocol, sslcontext, session, bios, waiter, **cast(Any, options)
            )
    return _MemoryBioProtocol(
        loop, protocol, sslcontext, waiter, server_side, server_hostname, **options
    )


async def upgrade(
    loop: EventLoop,
    transport: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl.SSLContext,
    **options: Any,
) -> asyncio.Transport:
    """Put TLS between a transport and `protocol`, which goes on over the transport returned.

    Bytes that a `StreamReader` has read already belong to TLS: the handshake begins with them.
    """
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(
            f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    waiter = loop.create_future()
    tls = make_protocol(loop, protocol, sslcontext, waiter, call_connection_made=False, **options)
    upgraded = tls._app_transport
    # Nothing is read until the new protocol has been told of its connection.
    transport.pause_reading()
    transport.set_protocol(tls)
    _move_stream_buffer(protocol, tls)
    begin = loop.call_soon(tls.connection_made, transport)
    resume = loop.call_soon(transport.resume_reading)
    try:
        await waiter
    except BaseException:
        transport.close()
        begin.cancel()
        resume.cancel()
        raise
    finally:
        # It holds the error, whose traceback holds this frame: a cycle.
        del waiter
    if tls._app_transport is None:
        # A connection that is closed in order is no error to its waiter.
        raise ConnectionResetError("the connection was closed before TLS was set up")
    return upgraded


def _is_native(engine: Engine) -> bool:
    if engine == "memorybio":
        return False
    reason = _core.tls_unavailable()
    if reason is None:
        return True
    if engine == "native":
        raise RuntimeError(
            f"WEFT_TLS=native, but OpenSSL cannot be driven directly: {reason}; "
            "unset WEFT_TLS to go through memory BIOs"
        )
    logger.debug("TLS goes through memory BIOs: %s", reason)
    return False


def _reads_and_writes_itself(session: Any) -> bool:
    """Whether a session is an `ssl.SSLObject` whose class adds nothing to reading and writing.

    A context may have its own class of sessions; what else that overrides is called as ever.
    """
    kind = type(session)
    return (
        isinstance(session, ssl.SSLObject)
        and kind.read is ssl.SSLObject.read
        and kind.write is ssl.SSLObject.write
    )


def _move_stream_buffer(protocol: asyncio.BaseProtocol, tls: TlsProtocol) -> None:
    """Give TLS what the protocol's `StreamReader` holds.

    A client that does not wait for an answer begins its handshake right behind its request for
    TLS; CPython does this since 3.14. Bytes of someone in the middle fail the handshake.
    """
    if not isinstance(protocol, asyncio.StreamReaderProtocol):
        return
    buffer = getattr(cast(Any, protocol)._stream_reader, "_buffer", None)
    if not buffer:
        return
    if isinstance(tls, sslproto.SSLProtocol):
        cast(Any, tls)._incoming.write(buffer)
    else:
        tls._feed(bytes(buffer))
    buffer.clear()
