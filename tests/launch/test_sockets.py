"""Listening sockets as the server gets them."""

from __future__ import annotations

import os
import socket

import pytest

from weft._core import Settings, StartupError, bind, remove_socket_file


@pytest.fixture
def opened():
    """Bind, and close at the end."""
    fds = []

    def open_sockets(**keywords):
        settings = Settings("main:app", **keywords)
        fds.extend(bind(settings))
        return fds[:]

    yield open_sockets
    for fd in fds:
        os.close(fd)


def test_sockets_listen_do_not_block_and_are_not_inherited(opened):
    (fd,) = opened(port=0)
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)
    with socket.socket(fileno=os.dup(fd)) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        with socket.create_connection(listener.getsockname()):
            pass


def test_a_refusal_is_a_startup_error(opened):
    with pytest.raises(StartupError, match="--host takes an address or a name of this machine"):
        opened(host="no-such-host.invalid")


def test_a_unix_socket_is_removed_unless_somebody_listens(tmp_path):
    settings = Settings("main:app", uds=tmp_path / "x.sock")
    (fd,) = bind(settings)
    remove_socket_file(settings)
    assert (tmp_path / "x.sock").exists()
    os.close(fd)
    remove_socket_file(settings)
    assert not (tmp_path / "x.sock").exists()


def test_without_a_unix_socket_there_is_nothing_to_remove():
    remove_socket_file(Settings("main:app"))
