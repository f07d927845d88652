"""What a loop does not have yet says so: NotImplementedError with the name of the feature."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from tests.support.loops import turns
from tests.support.net import HOST


async def datagram_endpoint(loop):
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(HOST, 0)
    )
    return transport


async def read_pipe(loop):
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb", 0) as pipe:
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, pipe)
        transport.close()
        await turns(3)
    return transport


async def write_pipe(loop):
    reading, writing = os.pipe()
    try:
        with open(writing, "wb", 0) as pipe:
            transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
            transport.close()
            await turns(3)
    finally:
        os.close(reading)
    return transport


async def sendfile(loop):
    ours, theirs = socket.socketpair()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    try:
        with theirs, open(__file__, "rb") as file:
            assert await loop.sendfile(transport, file, 0, 10) == 10
    finally:
        transport.close()
        await turns(3)
    return transport


FEATURES = {
    "create_datagram_endpoint": datagram_endpoint,
    "connect_read_pipe": read_pipe,
    "connect_write_pipe": write_pipe,
    "sendfile": sendfile,
}


@pytest.mark.parametrize("feature", FEATURES)
async def test_a_feature_is_there_or_names_itself(loop, feature):
    try:
        transport = await FEATURES[feature](loop)
    except NotImplementedError as missing:
        reason = str(missing)
    else:
        reason = feature
        transport.close()
        await turns(3)
    words = set(feature.split("_")) - {"create", "connect"}
    assert any(word in reason.lower() for word in words), f"not named: {reason!r}"
