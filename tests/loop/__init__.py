"""Event loop behaviour that needs no transport; each test runs on asyncio and on weft."""
