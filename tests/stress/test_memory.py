"""Memory over a long life: what a request or a connection leaves behind adds up here."""

from __future__ import annotations

import pytest

from tests.server.service import serving, wait_until
from tests.server.wire import chunked, request
from tests.stress.load import connections, pipelined

pytestmark = [pytest.mark.stress, pytest.mark.limit(900)]

MIX = {
    "plain": request("GET", "/length", "Accept: */*", "User-Agent: load"),
    "body": request("POST", "/length", body=b"x" * 1000),
    "chunks": request("POST", "/length", "Transfer-Encoding: chunked") + chunked(b"x" * 500) * 1,
    "later": request("GET", "/turns"),
}


def settled(service, before=None):
    """The resident memory, once the server is at rest."""
    service.ask("/")
    if before is not None:
        wait_until(lambda: service.descriptors() <= before, "every connection is closed")
    return service.memory()


@pytest.mark.parametrize("log", ["--access-log", "--no-access-log"])
def test_a_million_requests_and_100_000_connections_leave_the_memory_flat(tmp_path, log):
    with serving("connections:app", log, directory=tmp_path) as service:
        descriptors = service.descriptors()
        for data in MIX.values():
            pipelined(service, data, 20_000)
        connections(service, 4_000)
        start = settled(service, descriptors)

        for data in MIX.values():
            pipelined(service, data, 250_000)
        after_requests = settled(service, descriptors)
        connections(service, 100_000)
        after_connections = settled(service, descriptors)

        figures = f"{start} → {after_requests} → {after_connections}"
        print(f"\nresident memory with {log}: {figures}")
        assert after_requests <= start * 1.02, figures
        assert after_connections <= start * 1.02, figures


def test_ten_thousand_idle_connections_are_cheap_and_given_back(tmp_path):
    """Each costs the server a few KiB, and its last one is served like its first."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip("the limit for open files is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with serving("connections:app", "--no-access-log", directory=tmp_path) as service:
            service.ask("/length")
            start = settled(service)
            wires = [service.connect() for _ in range(10_000)]
            for wire in wires:
                wire.send(request("GET", "/length"))
                assert wire.response().body == b"five!"
            each = (service.memory() - start) / len(wires)
            print(f"\nan idle connection: {each:.0f} bytes")
            assert each < 8192
            for wire in wires:
                wire.send(request("GET", "/length"))
                assert wire.response().body == b"five!"
                wire.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_applications_that_fail_leave_the_memory_flat(tmp_path):
    """Errors hold tracebacks, tracebacks hold frames, frames hold everything."""
    paths = ["/raise", "/raise-inside", "/return", "/body-first", "/longer", "/bad-header?crlf"]
    service = serving("misuse:app", directory=tmp_path, errors_are_wanted=True)
    with service as service:

        def fail(rounds):
            for _ in range(rounds):
                for path in paths:
                    with service.connect() as wire:
                        wire.send(request("GET", path))
                        wire.sock.recv(65536)

        fail(500)
        start = settled(service)
        fail(5_000)
        end = settled(service)
        print(f"\nresident memory with errors: {start} → {end}")
        assert end <= start * 1.02
