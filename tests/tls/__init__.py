"""TLS connections: the same tests on asyncio, and on both engines of weft."""
