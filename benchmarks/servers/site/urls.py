"""The URLs of one variant only, because each pattern that is tried costs time."""

from django.conf import settings
from django.urls import include, path

from benchmarks.servers.site import views

_KINDS = {
    "bare": lambda: path("t/<str:token>.gif", views.bare),
    "bare_async": lambda: path("t/<str:token>.gif", views.bare_async),
    "create": lambda: path("t/<str:token>.gif", views.create),
    "ptrack": lambda: path("t/", include("ptrack.urls")),
    "ours": lambda: path("t/", include("tracking.urls")),
    "page": lambda: path("tea/", views.page),
    "account": lambda: path("account/", views.account),
}

urlpatterns = [
    *(_KINDS[kind]() for kind in settings.BENCHMARK_URLS),
    path("threads", views.threads),
]
