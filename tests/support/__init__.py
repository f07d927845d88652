"""Helpers that the test rooms share: loops under test, the leak ledger, the watchdog, peers."""
