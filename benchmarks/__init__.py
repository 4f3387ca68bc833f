"""Benchmarks. Run all short ones with ``python -m benchmarks``, one with ``… tokens``."""
