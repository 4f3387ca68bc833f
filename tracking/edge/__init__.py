"""Answer pixels and links ahead of Django.

In ``wsgi.py``, or with :class:`EdgeASGI` in ``asgi.py``::

    from django.core.wsgi import get_wsgi_application
    from tracking.edge import EdgeWSGI

    application = EdgeWSGI(get_wsgi_application())

The URLs ``tracking:pixel`` and ``tracking:redirect`` are answered here, by the flows of the views,
without Django's handler and the site's middlewares. Bans and the tracking of visitors apply here,
too, if the site has their middlewares. Django answers all other requests, and those that need
more than a pixel or a redirect: forged tokens, other methods, banned clients, links that lead
nowhere. Nothing is recorded of these before Django gets them.
"""

from tracking.edge.applications import EdgeASGI, EdgeWSGI

__all__ = ["EdgeASGI", "EdgeWSGI"]
