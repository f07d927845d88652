"""Transports, protocols, servers and streams; each test runs on asyncio and on weft."""
