"""weft's event loop against asyncio, uvloop and rloop: operations a second, CPU ns, leaks."""
