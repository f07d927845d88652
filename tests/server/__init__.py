"""The server as clients and applications see it: real processes, real sockets, bytes."""
