"""A server that runs out of descriptors pauses accepting, and recovers."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import time

import pytest

from tests.support.protocols import Recorder, serving
from tests.support.scripts import check_script

# Four descriptors are left, six clients wait in the backlog. Those that were served leave when the
# server has reported that it is out of descriptors; the others must be served then.
SCENARIO = """
import json, os, resource

served, reports = [], []

class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        served.append(transport)
        transport.write(b"hi")

def on_error(loop, context):
    reports.append(context)
    if not full.done():
        full.set_result(None)

async def main():
    global full
    loop = asyncio.get_running_loop()
    full = loop.create_future()
    loop.set_exception_handler(on_error)
    server = await loop.create_server(Greeting, "127.0.0.1", 0, start_serving=False)
    clients = [socket.socket() for _ in range(6)]
    await server.start_serving()
    used = {int(name) for name in os.listdir("/proc/self/fd")}
    limit = next(n for n in range(4096) if n - len([u for u in used if u < n]) == 4)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
    for client in clients:
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
    await full
    first = len(served)
    for client in clients[:first]:
        assert await loop.sock_recv(client, 2) == b"hi"
        client.close()
    for client in clients[first:]:
        assert await loop.sock_recv(client, 2) == b"hi"
        client.close()
    print(json.dumps({
        "first": first,
        "served": len(served),
        "messages": sorted({c["message"] for c in reports}),
        "errors": sorted({c["exception"].errno for c in reports}),
        "reports": len(reports),
        "keys": sorted(reports[0]),
    }))
    reports.clear()
    server.close()
    for transport in served:
        transport.close()
    await asyncio.sleep(0)
    await server.wait_closed()

with asyncio.Runner(loop_factory=make_loop) as runner:
    runner.run(main())
"""


def test_a_server_out_of_descriptors_reports_pauses_and_recovers(flavour):
    result = json.loads(check_script(flavour, SCENARIO))
    assert 1 <= result["first"] < 6
    assert result["served"] == 6
    assert result["messages"] == ["socket.accept() out of system resource"]
    assert result["errors"] == [24]
    assert {"message", "exception", "socket"} <= set(result["keys"])


@pytest.mark.weft_only("asyncio reports once for each place in the backlog")
def test_a_server_out_of_descriptors_does_not_flood_the_log(flavour):
    """asyncio's accept loop goes on after the error: a hundred reports, a hundred retries."""
    result = json.loads(check_script(flavour, SCENARIO))
    assert result["reports"] <= 4


@pytest.mark.weft_only("asyncio reports it in every turn, and spins")
async def test_a_listener_that_was_shut_down_neither_floods_the_log_nor_spins(loop, ledger):
    """Its hang-up is reported by the kernel whether it is asked for or not."""
    async with serving(Recorder) as server:
        server.sockets[0].shutdown(socket.SHUT_RDWR)
        before = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - before < 0.15
        report = ledger.take_loop_error()
        assert report["message"] == "Accept failed on a socket"
        assert report["exception"].errno == errno.EINVAL
        report.clear()
