"""Measurements of what the targets name. ``python -m benchmarks``, or one: ``… tokens``."""
