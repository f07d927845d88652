"""A throw-away certificate authority, and `ssl` contexts that trust it."""

from __future__ import annotations

import functools
import ssl

import trustme

NAME = "weft.test"


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _certificate(name: str) -> trustme.LeafCert:
    return _authority().issue_cert(name)


def issue() -> trustme.LeafCert:
    """The certificate of `weft.test`, with its key."""
    return _certificate(NAME)


def server_context(
    name: str = NAME, *, verify_clients: bool = False, maximum_version: str | None = None
) -> ssl.SSLContext:
    """What a server of this name presents; clients may have to show a certificate too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _certificate(name).configure_cert(context)
    if verify_clients:
        _authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    if maximum_version is not None:
        context.maximum_version = ssl.TLSVersion[maximum_version]
    return context


def client_context(*, check_hostname: bool = True) -> ssl.SSLContext:
    """What trusts that server and checks its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    context.check_hostname = check_hostname
    return context


def client_certificate_context() -> ssl.SSLContext:
    """A client that shows a certificate of `client.test`."""
    context = client_context()
    _certificate("client.test").configure_cert(context)
    return context


def distrusting_context() -> ssl.SSLContext:
    """A client that knows no authority at all."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
