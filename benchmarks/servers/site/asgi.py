"""The ASGI application."""

from django.conf import settings
from django.core.asgi import get_asgi_application

application = get_asgi_application()
if settings.BENCHMARK_EDGE:
    from tracking.edge import EdgeASGI

    application = EdgeASGI(application)
