"""Applications that the server is started with. They must not know pytest."""
