"""The interpreter's own `test.test_asyncio`, run with weft's loop in the place of asyncio's."""
