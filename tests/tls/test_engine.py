"""Which engine drives a connection, and when asyncio's takes over."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from asyncio import sslproto

import pytest

from tests.support.tls import client_context
from tests.tls.peers import handshaking, tls_connection

pytestmark = pytest.mark.weft_only("asyncio has one engine")


def is_native(transport) -> bool:
    from weft import _core

    return type(transport) is _core.SslTransport


async def test_the_engine_asked_for_is_the_engine_used(engine):
    async with tls_connection() as (transport, _protocol, _peer):
        assert is_native(transport) is (engine == "native")
        if engine == "memorybio":
            assert type(transport) is sslproto._SSLProtocolTransport


async def test_a_context_with_a_message_callback_goes_through_memory_bios():
    """Its errors would have no place to go from a native read."""
    seen = []
    context = client_context()
    context._msg_callback = lambda *message: seen.append(message)
    async with tls_connection(context=context) as (transport, log, peer):
        assert not is_native(transport)
        await peer.send(b"x")
        assert await log.received(1) == b"x"
    assert seen


async def test_a_session_class_that_reads_by_itself_goes_through_memory_bios():
    class Counting(ssl.SSLObject):
        reads = 0

        def read(self, *args):
            Counting.reads += 1
            return super().read(*args)

    context = client_context()
    context.sslobject_class = Counting
    async with tls_connection(context=context) as (transport, log, peer):
        assert not is_native(transport)
        await peer.send(b"x")
        assert await log.received(1) == b"x"
    assert Counting.reads


async def test_a_session_class_that_changes_the_handshake_is_driven():
    """As a context does that verifies certificates in its own way."""

    class Refusing(ssl.SSLObject):
        def do_handshake(self):
            super().do_handshake()
            raise ssl.SSLCertVerificationError("not this one")

    context = client_context()
    context.sslobject_class = Refusing
    async with handshaking(context=context) as (task, protocol, peer):
        with contextlib.suppress(ConnectionError):
            await peer.handshake()
        with pytest.raises(ssl.SSLCertVerificationError, match="not this one"):
            await task
        assert protocol.events == []


PROGRAM = """
import asyncio, os, ssl, sys
original = ssl.SSLContext.wrap_bio
{before}
import weft
from weft import _core, tls

async def main():
    loop = asyncio.get_running_loop()
    print(_core.tls_unavailable())
    ssl.SSLContext.wrap_bio = original
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made = tls.make_protocol(loop, asyncio.Protocol(), context, None, server_hostname="x")
    print(type(made).__name__)
    made._app_transport.abort()

with asyncio.Runner(loop_factory=weft.new_event_loop) as runner:
    runner.run(main())
"""


def outcome(before: str, engine: str) -> tuple[list[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)],
        env={"WEFT_TLS": engine},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines(), done.stderr


ANOTHER_LIBRARY = "ssl.OPENSSL_VERSION = 'OpenSSL of somebody else'"
# A session that does not hold what it should: that of its BIOs is another.
ANOTHER_LAYOUT = """
wrap = ssl.SSLContext.wrap_bio
def wrap_bio(self, incoming, outgoing, **options):
    return wrap(self, ssl.MemoryBIO(), outgoing, **options)
ssl.SSLContext.wrap_bio = wrap_bio
"""
# Where the SSL should be, a number that is no address: to follow it would be a crash.
WILD_POINTER = """
import struct, types
wild, = struct.unpack("d", struct.pack("Q", 0x6666_6666_6660))
fake = types.SimpleNamespace(_sslobj=complex(0.0, wild))
ssl.SSLContext.wrap_bio = lambda self, *bios, **options: fake
"""
TOO_SMALL = """
import types
ssl.SSLContext.wrap_bio = lambda self, *bios, **options: types.SimpleNamespace(_sslobj=1.0)
"""
NO_POINTER = """
import types
ssl.SSLContext.wrap_bio = lambda self, *bios, **options: types.SimpleNamespace(_sslobj=0j)
"""
BUILT_IN = "import _ssl; del _ssl.__file__"


@pytest.mark.limit(30)
@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (ANOTHER_LIBRARY, "where the ssl module has OpenSSL of somebody else"),
        (ANOTHER_LAYOUT, "the session does not refer to its context and its BIOs"),
        (WILD_POINTER, "the session's memory cannot be read"),
        (TOO_SMALL, "<class 'float'> is smaller than it was"),
        (NO_POINTER, "<class 'complex'> holds no pointer where it is expected"),
        (BUILT_IN, "the ssl module is built into the interpreter"),
    ],
)
def test_what_is_not_proved_is_not_driven(before, reason):
    printed, errors = outcome(before, "auto")
    assert reason in printed[0], errors
    assert printed[1] == "SSLProtocol"
    printed, errors = outcome(before, "native")
    assert printed[1:] == []
    assert "RuntimeError: WEFT_TLS=native, but OpenSSL cannot be driven directly" in errors


@pytest.mark.limit(30)
@pytest.mark.parametrize(("asked", "protocol"), [("", "TlsProtocol"), ("memorybio", "SSLProtocol")])
def test_the_engine_is_native_unless_somebody_says_otherwise(asked, protocol):
    assert outcome("", asked)[0] == ["None", protocol]


async def test_an_engine_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv("WEFT_TLS", "rustls")
    with pytest.raises(ValueError, match="WEFT_TLS must be native, memorybio or auto"):
        async with handshaking() as (task, _protocol, _peer):
            await task


async def test_a_session_is_driven_once():
    """The second time its BIOs are not those of the proof any more."""
    from weft import _core

    context = client_context()
    bios = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(*bios, server_hostname="x")

    def make(session=session, bios=bios):
        return _core.TlsProtocol(
            asyncio.get_running_loop(),
            asyncio.Protocol(),
            context,
            session,
            bios,
            None,
            ssl_handshake_timeout=1.0,
            ssl_shutdown_timeout=1.0,
        )

    make()._app_transport.abort()
    with pytest.raises(RuntimeError, match="cannot be driven"):
        make()
    with pytest.raises(RuntimeError, match="cannot be driven"):
        make(bios=(object(), object()))
