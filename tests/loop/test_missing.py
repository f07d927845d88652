"""What a loop does not have yet says so: NotImplementedError with the name of the feature."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support.loops import turns


class Exiting(asyncio.SubprocessProtocol):
    """Knows when its process is gone."""

    def __init__(self):
        self.exited = asyncio.get_running_loop().create_future()

    def process_exited(self):
        self.exited.set_result(None)


async def subprocess_exec(loop):
    transport, protocol = await loop.subprocess_exec(
        Exiting, "/bin/true", stdin=None, stdout=None, stderr=None
    )
    await protocol.exited
    return transport


async def subprocess_shell(loop):
    transport, protocol = await loop.subprocess_shell(
        Exiting, "true", stdin=None, stdout=None, stderr=None
    )
    await protocol.exited
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
    "subprocess_exec": subprocess_exec,
    "subprocess_shell": subprocess_shell,
    "sendfile": sendfile,
}


@pytest.mark.filterwarnings("ignore:.*child watcher.*:DeprecationWarning")
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
    assert any(word in reason.lower() for word in feature.split("_")), f"not named: {reason!r}"
