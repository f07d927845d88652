"""Benchmarks of weft: `compare` against peers in one run, `results` with the dated raw numbers."""
