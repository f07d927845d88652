"""Against OpenSSL's own programs: what Python's ssl cannot be told to do."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator

import pytest

from tests.support.loops import turns
from tests.support.protocols import Echo, address_of, serving
from tests.support.tls import server_context

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program"),
    pytest.mark.limit(30),
]


class Client:
    """`openssl s_client`, whose command letters are given one a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = bytearray()

    async def say(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    async def hear(self, expected: bytes) -> None:
        """Wait until the program has printed this."""
        while expected not in self.output:
            chunk = await asyncio.to_thread(self.process.stdout.read1, 1 << 16)
            assert chunk, f"{expected!r} never came: {bytes(self.output)!r}"
            self.output += chunk


@contextlib.asynccontextmanager
async def s_client(address: tuple[str, int], *options: str) -> AsyncIterator[Client]:
    command = ["openssl", "s_client", "-connect", "{}:{}".format(*address), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield Client(process)
        finally:
            process.stdin.close()
            process.kill()


@contextlib.asynccontextmanager
async def talking(context: ssl.SSLContext) -> AsyncIterator[Client]:
    """A client of an echo server, after its first echo."""
    served = []

    def factory():
        served.append(Echo())
        return served[-1]

    async with serving(factory, ssl=context) as server:
        async with s_client(address_of(server)) as client:
            await client.say(b"before")
            await client.hear(b"before\n")
            yield client
        await served[0].closed()
        await turns(5)
    served.clear()


@pytest.mark.parametrize("letter", [b"K", b"k"])
async def test_keys_are_updated_in_the_middle(letter):
    """RFC 8446, section 4.6.3. `K` asks the other side to update its keys too."""
    async with talking(server_context()) as client:
        await client.say(letter)
        await client.hear(b"KEYUPDATE")
        await client.say(b"after")
        await client.hear(b"after\n")


ALLOW_CLIENT_RENEGOTIATION = 0x100  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION; Python has no name for it


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3,), reason="OpenSSL 1.1.1 allows it always")
@pytest.mark.parametrize("allowed", [False, True])
async def test_renegotiation_is_for_the_context_to_allow(allowed):
    """TLS 1.2. A handshake in the middle, inside a read; or a refusal that ends the client."""
    context = server_context(maximum_version="TLSv1_2")
    if allowed:
        context.options |= ALLOW_CLIENT_RENEGOTIATION
    async with talking(context) as client:
        await client.say(b"R")
        await client.hear(b"RENEGOTIATING")
        if allowed:
            await client.say(b"after")
            await client.hear(b"after\n")
        else:
            await client.hear(b"no renegotiation")
