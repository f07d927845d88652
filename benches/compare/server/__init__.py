"""weft's HTTP server against its peers: CPU time a request, requests/s, latency, memory."""
