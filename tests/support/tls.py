"""A throw-away certificate authority and the two `ssl` contexts that trust it."""

from __future__ import annotations

import functools
import ssl

import trustme

NAME = "weft.test"


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


def issue() -> trustme.LeafCert:
    """A new certificate for `weft.test`, with its key."""
    return _authority().issue_cert(NAME)


def server_context() -> ssl.SSLContext:
    """What a server named `weft.test` presents."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issue().configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """What trusts that server and checks its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _authority().configure_trust(context)
    return context


def distrusting_context() -> ssl.SSLContext:
    """A client that knows no authority at all."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
