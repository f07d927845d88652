"""grpc.aio, whose poller thread wakes the loop through a descriptor; in processes of their own,
because that thread and its descriptors live as long as the process.
"""

from __future__ import annotations

import pytest

from tests.support.scripts import check_script

pytestmark = pytest.mark.limit(30)

PROGRAM = """
import grpc.aio

LARGE = os.urandom(3 << 20)

async def unary(request, context):
    if request == b"fail":
        await context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")
    if request == b"wait":
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
    return request

async def stream(requests, context):
    async for request in requests:
        yield request[::-1]

async def one(call, number):
    assert await call(b"%d" % number) == b"%d" % number

async def main():
    global began, ended
    began, ended = asyncio.Event(), asyncio.Event()
    server = grpc.aio.server()
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    service = grpc.method_handlers_generic_handler("weft.Test", handlers)
    server.add_generic_rpc_handlers([service])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/weft.Test/Unary")
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(call, number))
        assert await call(LARGE) == LARGE
        try:
            await call(b"fail")
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
        try:
            await call(b"wait", timeout=0.05)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await ended.wait()
        began.clear(), ended.clear()
        waiting = asyncio.ensure_future(call(b"wait"))
        await began.wait()
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            pass
        await ended.wait()

        exchange = channel.stream_stream("/weft.Test/Stream")()
        for number in range(200):
            await exchange.write(b"%03d" % number)
            assert await exchange.read() == (b"%03d" % number)[::-1]
        await exchange.done_writing()
        assert await exchange.read() is grpc.aio.EOF
    await server.stop(1)
    print("done", type(asyncio.get_running_loop()).__module__)

for _ in range(2):
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
"""


def test_grpc_calls_streams_and_cancels_on_two_loops_in_a_row(flavour):
    output = check_script(flavour, PROGRAM).split()
    assert output[::2] == ["done", "done"]
    assert all(module.startswith(flavour) for module in output[1::2])
