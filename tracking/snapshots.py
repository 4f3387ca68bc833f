"""Public name: ``tracking.snapshots.changed`` (see :mod:`tracking.caching.snapshots`)."""

from tracking.caching.snapshots import changed

__all__ = ["changed"]
