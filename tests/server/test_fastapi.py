"""A FastAPI service on the server, used by httpx and by curl as its clients would."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess

import httpx
import pytest

from tests.server.service import Service, serving
from tests.server.wire import request
from tests.support.program import CODE_AFTER_SIGTERM

LARGE = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fast")
    (directory / "large.bin").write_bytes(LARGE)
    with serving("fast:app", directory=directory, errors_are_wanted=True) as service:
        yield service


@pytest.fixture(scope="module")
def client(server):
    with server.client() as client:
        yield client


# requests and answers


def test_json_comes_back(client):
    answer = client.get("/")
    assert answer.json() == {"hello": "world"}
    assert answer.headers["content-type"] == "application/json"


def test_parameters_are_read_and_validated(client):
    assert client.get("/items/5", params={"q": "ä b"}).json() == {"item_id": 5, "q": "ä b"}
    answer = client.get("/items/five")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "item_id"]


def test_a_body_is_read_and_validated(client):
    answer = client.post("/items", json={"name": "Tee", "price": 3.5})
    assert (answer.status_code, answer.json()) == (201, {"name": "Tee", "price": 3.5})
    answer = client.post("/items", json={"name": "Tee"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "missing"
    assert client.post("/items", content=b"{").status_code == 422


def test_a_synchronous_endpoint_runs_in_a_thread(client):
    assert client.get("/sync").json() is True


def test_many_synchronous_endpoints_run_side_by_side(server):
    async def ask_all():
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, limits=limits) as many:
            return await asyncio.gather(*(many.get("/sync") for _ in range(200)))

    assert all(answer.json() is True for answer in asyncio.run(ask_all()))


def test_the_state_of_the_lifespan_reaches_requests(client):
    assert client.get("/state").json() == "from the lifespan"


def test_dependencies_open_and_close(server, client):
    since = server.mark()
    answer = client.get("/dependent", headers={"authorization": "Bearer lan"})
    assert answer.json() == ["lan", "connection"]
    server.said("dependency opened", since)
    server.said("dependency closed", since)


def test_a_dependency_can_refuse(client):
    answer = client.get("/dependent")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"detail": "who are you?"}


def test_a_dependency_closes_behind_an_error_too(server, client):
    since = server.mark()
    assert client.get("/dependent-error").status_code == 409
    server.said("dependency closed", since)


def test_cookies_and_redirects_work(client):
    answer = client.get("/cookies")
    assert answer.json() is None
    assert len(answer.headers.get_list("set-cookie")) == 2
    assert client.get("/cookies").json() == "yes"
    client.cookies.clear()
    answer = client.get("/redirect", follow_redirects=True)
    assert [step.status_code for step in answer.history] == [307]
    assert answer.json() == {"hello": "world"}


def test_unknown_paths_methods_and_no_content(client):
    assert client.get("/nowhere").status_code == 404
    assert client.delete("/").status_code == 405
    answer = client.get("/no-content")
    assert (answer.status_code, answer.content) == (204, b"")


def test_the_documentation_is_there(client):
    assert client.get("/openapi.json").json()["info"]["title"] == "FastAPI"
    assert "swagger" in client.get("/docs").text


def test_an_error_of_an_endpoint_is_500_and_in_the_log(server, client):
    since = server.mark()
    answer = client.get("/error")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    server.said("ValueError: an error of the endpoint", since)
    assert client.get("/").status_code == 200


# bodies


def test_a_body_is_streamed(client):
    def pieces():
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/raw", content=pieces()).json() == 1_000_000


def test_a_large_answer_is_compressed_and_arrives(client):
    answer = client.get("/large")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json() == {"items": ["value"] * 10_000}


@pytest.mark.parametrize(("path", "count"), [("/stream", 1000), ("/stream-sync", 100)])
def test_a_streaming_response_arrives(client, path, count):
    with client.stream("GET", path) as answer:
        assert list(answer.iter_lines()) == [str(number) for number in range(count)]


def test_a_file_is_sent_whole_and_in_parts(client):
    answer = client.get("/file", headers={"accept-encoding": "identity"})
    assert answer.content == LARGE
    assert answer.headers["content-length"] == str(len(LARGE))
    assert "filename*=utf-8''gro%C3%9F.bin" in answer.headers["content-disposition"]
    answer = client.get("/file", headers={"range": "bytes=1000-1999"})
    assert (answer.status_code, answer.content) == (206, LARGE[1000:2000])
    answer = client.head("/static/large.bin", headers={"accept-encoding": "identity"})
    assert answer.headers["content-length"] == str(len(LARGE))
    assert client.get("/static/large.bin").content == LARGE
    assert client.get("/static/%2e%2e/secret").status_code == 404


def test_an_unchanged_file_is_304(client):
    etag = client.get("/static/large.bin").headers["etag"]
    answer = client.get("/static/large.bin", headers={"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


# middleware


def test_every_middleware_has_its_say(client):
    answer = client.get("/tenant", headers={"x-tenant": "lan"})
    assert answer.json() == "lan"
    assert answer.headers["x-tenant"] == "lan"
    assert answer.headers["x-stamp"] == "yes"
    assert client.get("/tenant").json() == "nobody"


def test_a_browser_from_another_origin_is_let_in(client):
    preflight = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = client.options("/items", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert client.options("/items", headers=preflight | {"origin": "https://x"}).status_code == 400


# behind the response, and clients that leave


def test_background_tasks_run_behind_the_response(server, client):
    since = server.mark()
    assert client.get("/background").json() == "accepted"
    server.said("background async", since)
    server.said("background sync", since)
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("name", ["endless", "silent"])
def test_a_generator_is_closed_when_its_client_leaves(server, name):
    """Database sessions hang on this, and models that compute for nobody."""
    since = server.mark()
    with (
        httpx.Client(base_url=server.url, trust_env=False) as leaving,
        leaving.stream("GET", f"/{name}") as answer,
    ):
        assert next(answer.iter_lines())
    server.said(f"{name} cleaned up", since)


def test_is_disconnected_notices_that_the_client_has_left(tmp_path):
    """Without a BaseHTTPMiddleware, behind which no server can make it work."""
    with Service("fast:bare", directory=tmp_path) as service:
        with service.connect() as wire:
            wire.send(request("GET", "/gone"))
            service.said("gone waits")
        service.said("gone noticed")
        assert service.terminate() == CODE_AFTER_SIGTERM


@pytest.mark.parametrize("path", ["/", "/sync", "/stream", "/stream-sync", "/static/large.bin"])
def test_a_client_that_has_closed_its_half_never_takes_a_part_for_the_whole(server, path):
    """Frameworks take it for gone, and end a stream where it stands: then it must be cut off."""
    whole = server.ask(path).body
    with server.connect() as wire:
        wire.send(request("GET", path))
        wire.half_close()
        try:
            response = wire.response()
        except (EOFError, ConnectionResetError):
            return
    assert (response.status, response.body) == (200, whole)


# curl


@pytest.fixture(scope="module")
def curl(server):
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")

    def run(*arguments: str) -> bytes:
        command = [program, "--silent", "--show-error", "--noproxy", "*", "--max-time", "10"]
        result = subprocess.run([*command, *arguments], capture_output=True, timeout=20)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def test_curl_gets_json_and_reuses_its_connection(server, curl):
    shape = "%{num_connects} %{http_code} %{http_version}\n"
    urls = ["--output", "/dev/null", f"{server.url}/"] * 3
    shown = curl("--write-out", shape, *urls).decode()
    connections = [line.split()[0] for line in shown.splitlines()]
    assert connections == ["1", "0", "0"], shown
    assert all(line.endswith("200 1.1") for line in shown.splitlines())


def test_curl_posts_json(server, curl):
    body = json.dumps({"name": "Tee", "price": 1})
    url = f"{server.url}/items"
    assert json.loads(curl("--json", body, url)) == {"name": "Tee", "price": 1.0}


def test_curl_uploads_with_an_expectation(server, curl, tmp_path):
    """A body this large makes curl wait for 100 Continue; a server that never says it costs 1 s."""
    (tmp_path / "body").write_bytes(b"x" * (2 << 20))
    expect = ["--header", "Expect: 100-continue", "--expect100-timeout", "20"]
    url = f"{server.url}/raw"
    data = ["--data-binary", f"@{tmp_path / 'body'}"]
    assert curl(*expect, *data, url) == str(2 << 20).encode()


def test_curl_uploads_in_chunks(server, curl, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * 100_000)
    chunked = ["--header", "Transfer-Encoding: chunked"]
    data = ["--data-binary", f"@{tmp_path / 'body'}"]
    assert curl(*chunked, *data, f"{server.url}/raw") == b"100000"


def test_curl_sees_head_compression_and_http_1_0(server, curl):
    assert b"content-length: 2097152" in curl("--head", f"{server.url}/static/large.bin").lower()
    answer = curl("--compressed", f"{server.url}/large")
    assert json.loads(answer) == {"items": ["value"] * 10_000}
    assert json.loads(curl("--http1.0", f"{server.url}/")) == {"hello": "world"}


def test_the_service_ends_in_order(tmp_path):
    with Service("fast:app", directory=tmp_path) as service:
        assert service.ask("/").status == 200
        assert service.terminate() == CODE_AFTER_SIGTERM
        assert "fast ends\n" in service.log
