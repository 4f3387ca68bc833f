"""The WSGI application."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
if settings.BENCHMARK_EDGE:
    from tracking.edge import EdgeWSGI

    application = EdgeWSGI(application)
