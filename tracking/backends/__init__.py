"""Backends take hits from requests to :func:`tracking.recording.write`.

``TRACKING_BACKEND`` is the dotted path of the class in use::

    from tracking.backends import get_backend

    get_backend().send(hit)
"""

from tracking.backends.base import BaseBackend
from tracking.backends.handler import get_backend

__all__ = ["BaseBackend", "get_backend"]
