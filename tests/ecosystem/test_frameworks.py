"""Frameworks whose test clients and handlers bring the loop to their own code."""

from __future__ import annotations

import asyncio

import django.conf
import django.core.asgi
import django.http
import django.test
import django.urls
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient

# Starlette


async def who(_request):
    await asyncio.sleep(0)
    return PlainTextResponse(type(asyncio.get_running_loop()).__module__)


def in_a_thread(_request):
    return PlainTextResponse("from a thread")


async def parts(_request):
    async def body():
        for number in range(100):
            await asyncio.sleep(0)
            yield b"%02d" % number

    return StreamingResponse(body())


async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def starlette_app():
    routes = [
        Route("/", who),
        Route("/thread", in_a_thread),
        Route("/parts", parts),
        WebSocketRoute("/echo", echo),
    ]
    return Starlette(routes=routes)


def test_starlettes_test_client(raw_loop_factory):
    sample = raw_loop_factory()
    module = type(sample).__module__
    sample.close()
    options = {"loop_factory": raw_loop_factory}
    with TestClient(starlette_app(), backend_options=options) as client:
        for _ in range(20):
            assert client.get("/").text == module
        assert client.get("/thread").text == "from a thread"
        assert client.get("/parts").content == b"".join(b"%02d" % n for n in range(100))
        with client.websocket_connect("/echo") as websocket:
            for number in range(20):
                websocket.send_text(f"{number}")
                assert websocket.receive_text() == f"{number}"


# Django


@pytest.fixture(scope="module")
def django_app():
    if not django.conf.settings.configured:
        django.conf.settings.configure(
            ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="tests", MIDDLEWARE=[]
        )
        django.setup(set_prefix=False)
    return django.core.asgi.get_asgi_application()


async def asynchronous(request):
    await asyncio.sleep(0)
    text = await sync_to_async(lambda: "through a thread")()
    return django.http.HttpResponse(f"{text}: {len(request.body)}")


def synchronous(request):
    return django.http.HttpResponse(f"synchronous: {request.GET['number']}")


async def waiting(_request):
    await asyncio.Event().wait()


urlpatterns = [
    django.urls.path("async/", asynchronous),
    django.urls.path("sync/", synchronous),
    django.urls.path("waiting/", waiting),
]


def scope(path, query=b"", method="POST"):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"host", b"weft.test")],
    }


async def answer_of(communicator, body=b""):
    await communicator.send_input({"type": "http.request", "body": body})
    start = await communicator.receive_output(5)
    assert start["status"] == 200
    message = await communicator.receive_output(5)
    await communicator.wait(5)
    return message["body"]


async def test_django_answers_through_its_asgi_handler(django_app):
    async def ask(number):
        one = ApplicationCommunicator(django_app, scope("/async/"))
        assert await answer_of(one, b"x" * number) == b"through a thread: %d" % number
        two = ApplicationCommunicator(django_app, scope("/sync/", b"number=%d" % number))
        assert await answer_of(two) == b"synchronous: %d" % number

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(ask(number))


async def test_django_cancels_a_view_whose_client_left(django_app):
    communicator = ApplicationCommunicator(django_app, scope("/waiting/"))
    await communicator.send_input({"type": "http.request", "body": b""})
    await communicator.send_input({"type": "http.disconnect"})
    await communicator.wait(5)
    assert communicator.output_queue.empty()
