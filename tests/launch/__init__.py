"""The way from a command line to a running service, without the server itself."""
