"""Comparisons in one run: `server`, `loop` and `memory`, each a `python -m` command of its own."""
