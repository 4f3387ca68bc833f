"""Which browser sends a request, and whether it agrees to be tracked."""
