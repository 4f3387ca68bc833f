"""System checks: one numbered message for every setting that can be wrong."""

from tracking.checks import beacons, visitors

__all__ = ["beacons", "visitors"]
